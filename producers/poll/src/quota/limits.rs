pub(crate) use crypto_intel_schemas::QuotaWindow as Window;

/// How many units of weight a provider permits with one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Limits {
    pub(crate) second: Option<u32>,
    pub(crate) minute: Option<u32>,
    pub(crate) day: Option<u32>,
    pub(crate) month: Option<u32>,
    /// Most units at once.
    pub(crate) burst: u32,
}

impl Limits {
    /// The limit of one window.
    pub(crate) const fn of(&self, window: Window) -> Option<u32> {
        match window {
            Window::Second => self.second,
            Window::Minute => self.minute,
            Window::Day => self.day,
            Window::Month => self.month,
        }
    }

    /// Every window that has a limit, with it.
    pub(crate) fn windows(&self) -> impl Iterator<Item = (Window, u32)> {
        Window::ALL.into_iter().filter_map(|window| Some((window, self.of(window)?)))
    }

    /// How long one unit of a used-up burst takes to come back: as the tighter of second and minute permits, and
    /// a second where there is neither.
    pub(crate) fn unit_us(&self) -> i64 {
        let by_second = self.second.map(|limit| 1_000_000 / i64::from(limit.max(1)));
        let by_minute = self.minute.map(|limit| 60_000_000 / i64::from(limit.max(1)));
        by_second.max(by_minute).unwrap_or(1_000_000).max(1)
    }

    /// Why a request of this weight could never be sent.
    pub(crate) fn refuses(&self, weight: u32) -> Option<String> {
        if weight > self.burst {
            return Some(format!("weight {weight} is above quota.burst {}", self.burst));
        }
        let (window, limit) = self.windows().find(|(_, limit)| weight > *limit)?;
        Some(format!("weight {weight} is above quota.per_{window} {limit}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_comes_back_as_the_tighter_of_second_and_minute_permits() {
        let limits = |second, minute| Limits { second, minute, burst: 1, ..Limits::default() };
        assert_eq!(limits(Some(5), None).unit_us(), 200_000);
        assert_eq!(limits(Some(5), Some(60)).unit_us(), 1_000_000);
        assert_eq!(limits(None, None).unit_us(), 1_000_000);
    }

    #[test]
    fn a_request_that_no_window_holds_is_named() {
        let limits = Limits { second: Some(3), day: Some(10), burst: 5, ..Limits::default() };
        assert_eq!(limits.refuses(3), None);
        assert_eq!(limits.refuses(4).as_deref(), Some("weight 4 is above quota.per_second 3"));
        assert_eq!(limits.refuses(6).as_deref(), Some("weight 6 is above quota.burst 5"));
    }
}
