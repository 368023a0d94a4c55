//! A small picture of what a rule saw: a line of prices, or bars of sums.

use std::{sync::LazyLock, time::Duration};

use crypto_intel_schemas::{Chart, ChartShape};
use jiff::{Timestamp, tz::TimeZone};
use plotters::{
    prelude::{
        AreaSeries, BitMapBackend, ChartBuilder, IntoDrawingArea as _, LineSeries, RGBColor,
        Rectangle, WHITE,
    },
    style::{Color as _, FontStyle, TextStyle, register_font},
};

/// Pixels. Both services show it at this size or smaller.
const WIDTH: u32 = 800;
const HEIGHT: u32 = 360;
/// A picture that takes longer is not worth the wait: the text goes alone.
const MAX_TIME: Duration = Duration::from_secs(2);
const FONT: &str = "sans-serif";
const TEXT_PIXELS: u32 = 17;
const LABEL_WIDTH: u32 = 86;
const LABEL_HEIGHT: u32 = 34;
const MARGIN: u32 = 14;
const TIMES: usize = 6;
const VALUES: usize = 6;
const INK: RGBColor = RGBColor(0x34, 0x78, 0xf6);
const GRID: RGBColor = RGBColor(0xe4, 0xe7, 0xeb);
const LABEL: RGBColor = RGBColor(0x5f, 0x63, 0x68);

/// Whether the font can be used; it is part of the program.
static HAS_FONT: LazyLock<bool> =
    LazyLock::new(|| register_font(FONT, FontStyle::Normal, dejavu::sans::regular()).is_ok());

/// Draws beside the tasks that send; `None` where it fails or takes too long.
pub(crate) async fn drawn_in_time(chart: Chart, zone: TimeZone) -> Option<Vec<u8>> {
    // A panic of the drawing ends its own task alone.
    let drawing = tokio::task::spawn_blocking(move || png_of(&chart, &zone));
    match tokio::time::timeout(MAX_TIME, drawing).await {
        Ok(Ok(Some(png))) => Some(png),
        failed => {
            let why = match failed {
                Ok(Ok(_)) => "it cannot be drawn".to_owned(),
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("it took longer than {} s", MAX_TIME.as_secs()),
            };
            tracing::warn!(why, "no chart for a message, its text goes alone");
            None
        }
    }
}

/// The picture as PNG, with the times of a zone.
pub(crate) fn png_of(chart: &Chart, zone: &TimeZone) -> Option<Vec<u8>> {
    let points: Vec<(i64, f64)> = chart
        .points
        .iter()
        .map(|point| (point.at_us, point.value.to_f64()))
        .filter(|(_, value)| value.is_finite())
        .collect();
    let first = points.first()?.0;
    let last = points.last()?.0;
    if last <= first || !*HAS_FONT {
        return None;
    }
    let mut pixels = vec![0; (WIDTH * HEIGHT * 3) as usize];
    draw(&mut pixels, chart.shape, &points, zone)?;
    encode(&pixels)
}

fn draw(
    pixels: &mut [u8],
    shape: ChartShape,
    points: &[(i64, f64)],
    zone: &TimeZone,
) -> Option<()> {
    let steps = points.windows(2).map(|pair| pair[1].0 - pair[0].0);
    let step = steps.filter(|step| *step > 0).min()?;
    let (first, last) = (points.first()?.0, points.last()?.0);
    let range = match shape {
        ChartShape::Line => first..last,
        ChartShape::Bars => first..last + step,
    };
    let values = value_range(shape, points);
    let area = BitMapBackend::with_buffer(pixels, (WIDTH, HEIGHT)).into_drawing_area();
    area.fill(&WHITE).ok()?;
    let text = TextStyle::from((FONT, TEXT_PIXELS)).color(&LABEL);
    let mut plot = ChartBuilder::on(&area)
        .margin(MARGIN)
        .x_label_area_size(LABEL_HEIGHT)
        .y_label_area_size(LABEL_WIDTH)
        .build_cartesian_2d(range, values.clone())
        .ok()?;
    plot.configure_mesh()
        .disable_x_mesh()
        .bold_line_style(GRID)
        .light_line_style(WHITE)
        .axis_style(GRID)
        .x_labels(TIMES)
        .y_labels(VALUES)
        .label_style(text)
        .x_label_formatter(&|at_us| time_text(*at_us, last - first, zone))
        .y_label_formatter(&|value| value_text(*value))
        .draw()
        .ok()?;
    match shape {
        ChartShape::Line => {
            let below = AreaSeries::new(points.iter().copied(), values.start, INK.mix(0.12));
            plot.draw_series(below).ok()?;
            plot.draw_series(LineSeries::new(points.iter().copied(), INK.stroke_width(3))).ok()?;
        }
        ChartShape::Bars => {
            let bars = points.iter().map(|(at_us, value)| {
                let (from, to) = (at_us + step / 10, at_us + step - step / 10);
                Rectangle::new([(from, 0.0), (to, *value)], INK.filled())
            });
            plot.draw_series(bars).ok()?;
        }
    }
    drop(plot);
    area.present().ok()
}

/// From a little below the values to a little above; bars begin at zero.
fn value_range(shape: ChartShape, points: &[(i64, f64)]) -> std::ops::Range<f64> {
    let (mut low, mut high) =
        points.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), (_, value)| {
            (low.min(*value), high.max(*value))
        });
    if shape == ChartShape::Bars {
        (low, high) = (low.min(0.0), high.max(0.0));
    }
    let span = high - low;
    // All the same: a line in the middle.
    let room = if span > 0.0 { span * 0.08 } else { low.abs().max(1.0) * 0.01 };
    let below = if shape == ChartShape::Bars && low >= 0.0 { 0.0 } else { room };
    low - below..high + room
}

/// A time of day, or a day where the picture spans more than two.
fn time_text(at_us: i64, span_us: i64, zone: &TimeZone) -> String {
    const TWO_DAYS_US: i64 = 172_800_000_000;
    let Ok(at) = Timestamp::from_microsecond(at_us) else { return String::new() };
    let form = if span_us > TWO_DAYS_US { "%m-%d" } else { "%H:%M" };
    at.to_zoned(zone.clone()).strftime(form).to_string()
}

/// As people write it: thousands and more by their letter.
fn value_text(value: f64) -> String {
    let (value, letter) = match value.abs() {
        size if size >= 1e9 => (value / 1e9, "B"),
        size if size >= 1e6 => (value / 1e6, "M"),
        size if size >= 1e4 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let decimals = match value.abs() {
        0.0 => 0,
        size if size >= 1_000.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 3,
        _ => 5,
    };
    let text = format!("{value:.decimals$}");
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    };
    format!("{text}{letter}")
}

fn encode(pixels: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, WIDTH, HEIGHT);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().ok()?;
    writer.write_image_data(pixels).ok()?;
    writer.finish().ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crypto_intel_schemas::{ChartPoint, Decimal};
    use proptest::prelude::*;

    use super::*;

    fn chart(shape: ChartShape, values: &[&str]) -> Chart {
        let points = values.iter().zip(0_i64..).map(|(value, minute)| ChartPoint {
            at_us: 1_767_650_400_000_000 + minute * 60_000_000,
            value: Decimal::parse(value).unwrap(),
        });
        Chart { shape, points: points.collect() }
    }

    /// The pixels of the picture that have the ink's colour.
    fn inked(png: &[u8]) -> Vec<(u32, u32)> {
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height), (WIDTH, HEIGHT));
        let of_ink = |(at, pixel): (u32, &[u8])| {
            (pixel == [INK.0, INK.1, INK.2]).then_some((at % WIDTH, at / WIDTH))
        };
        (0..).zip(pixels.chunks(3)).filter_map(of_ink).collect()
    }

    #[test]
    fn a_line_rises_with_its_values_and_bars_stand_apart() {
        let zone = TimeZone::UTC;
        let rising = png_of(&chart(ChartShape::Line, &["1", "2", "3", "9"]), &zone).unwrap();
        let ink = inked(&rising);
        let height =
            |of: &dyn Fn(&(u32, u32)) -> bool| ink.iter().filter(|at| of(at)).map(|at| at.1).min();
        let left = height(&|at| at.0 < LABEL_WIDTH + MARGIN + 40).unwrap();
        let right = height(&|at| at.0 > WIDTH - MARGIN - 40).unwrap();
        assert!(left > right + 100, "{left} {right}");
        let bars = png_of(&chart(ChartShape::Bars, &["5", "1", "5"]), &zone).unwrap();
        let row: Vec<u32> =
            inked(&bars).into_iter().filter(|at| at.1 == HEIGHT / 2).map(|at| at.0).collect();
        let gaps = row.windows(2).filter(|pair| pair[1] > pair[0] + 1).count();
        assert_eq!(gaps, 1, "the middle one is low");
        assert!(rising.len() < 40_000 && bars.len() < 40_000);
    }

    #[test]
    fn what_is_no_picture_is_none() {
        for values in [&[][..], &["1"]] {
            assert_eq!(png_of(&chart(ChartShape::Line, values), &TimeZone::UTC), None);
        }
        let same_time = Chart {
            points: vec![ChartPoint::default(), ChartPoint::default()],
            ..Chart::default()
        };
        assert_eq!(png_of(&same_time, &TimeZone::UTC), None);
        assert!(png_of(&chart(ChartShape::Line, &["7", "7"]), &TimeZone::UTC).is_some());
    }

    #[test]
    fn values_read_as_people_write_them() {
        for (value, text) in [
            (0.0, "0"),
            (0.9995, "0.9995"),
            (12_500.0, "12.5k"),
            (64_000.0, "64k"),
            (3_200_000.0, "3.2M"),
            (-2.5e9, "-2.5B"),
        ] {
            assert_eq!(value_text(value), text);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn no_values_make_it_fail(
            points in proptest::collection::vec((any::<i64>(), -1e30_f64..1e30), 0..80),
            bars in any::<bool>(),
        ) {
            let point = |(at_us, value): (i64, f64)| ChartPoint {
                at_us: at_us % 4_000_000_000_000_000,
                value: Decimal::parse(&format!("{value:.3}")).unwrap_or_default(),
            };
            let mut points: Vec<ChartPoint> = points.into_iter().map(point).collect();
            points.sort_by_key(|point| point.at_us);
            let shape = if bars { ChartShape::Bars } else { ChartShape::Line };
            let _ = png_of(&Chart { shape, points }, &TimeZone::UTC);
        }
    }
}
