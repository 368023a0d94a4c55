use crypto_intel_schemas::Decimal;
use proptest::prelude::*;

use super::*;

fn dollars(text: &str) -> Dollars {
    Dollars::of(&Decimal::parse(text).unwrap())
}

fn flow(direction: Direction, quantity: u64, usd: Option<&str>) -> Flow {
    Flow { direction, quantity: BigInt::from(quantity), usd: usd.map(dollars) }
}

fn bought(quantity: u64, usd: &str) -> Flow {
    flow(Direction::In, quantity, Some(usd))
}

fn sold(quantity: u64, usd: &str) -> Flow {
    flow(Direction::Out, quantity, Some(usd))
}

/// Ten for 100, ten for 300, then fifteen sold for 450: the worked example that every handbook has.
#[test]
fn the_oldest_go_first_or_all_cost_the_mean() {
    let flows = [bought(10, "100"), bought(10, "300"), sold(15, "450")];
    let fifo = ProfitAndLoss::of(&flows, CostMethod::Fifo);
    assert_eq!(fifo.realised, dollars("200"), "450 - (100 + 5 of 10 for 300)");
    assert_eq!((fifo.cost.clone(), fifo.held.clone()), (dollars("150"), BigInt::from(5)));
    let mean = ProfitAndLoss::of(&flows, CostMethod::AverageCost);
    assert_eq!(mean.realised, dollars("150"), "450 - 15 of 20 for 400");
    assert_eq!((mean.cost.clone(), mean.held.clone()), (dollars("100"), BigInt::from(5)));
    assert!(fifo.is_complete() && mean.is_complete());
}

#[test]
fn what_has_no_price_is_kept_apart_and_never_guessed() {
    let flows = [flow(Direction::In, 10, None), bought(10, "300"), sold(15, "450")];
    let fifo = ProfitAndLoss::of(&flows, CostMethod::Fifo);
    assert_eq!(fifo.sold_unpriced, BigInt::from(10));
    assert_eq!(fifo.realised, dollars("0"), "a third of 450 for five that cost 150");
    assert_eq!((fifo.held.clone(), fifo.held_unpriced.clone()), (5.into(), 0.into()));
    let unpriced_sale = [bought(10, "100"), flow(Direction::Out, 4, None)];
    let result = ProfitAndLoss::of(&unpriced_sale, CostMethod::Fifo);
    assert_eq!((result.sold_unpriced.clone(), result.cost.clone()), (4.into(), dollars("60")));
    assert!(!result.is_complete());
}

#[test]
fn what_goes_out_without_having_come_in_says_that_history_lacks() {
    let flows = [bought(10, "100"), sold(25, "500"), bought(5, "60")];
    for method in [CostMethod::Fifo, CostMethod::AverageCost] {
        let result = ProfitAndLoss::of(&flows, method);
        assert_eq!(result.uncovered, BigInt::from(15));
        assert_eq!(result.realised, dollars("100"), "ten of 25 for 500, which cost 100");
        assert_eq!((result.held.clone(), result.cost.clone()), (5.into(), dollars("60")));
    }
}

fn arbitrary_flows() -> impl Strategy<Value = Vec<Flow>> {
    let direction = prop_oneof![Just(Direction::In), Just(Direction::Out)];
    let usd = prop::option::weighted(0.8, 0_u64..1_000_000);
    let one = (direction, 0_u64..1_000, usd).prop_map(|(direction, quantity, usd)| {
        let usd = usd.map(|usd| usd.to_string());
        flow(direction, quantity, usd.as_deref())
    });
    prop::collection::vec(one, 0..40)
}

fn total(flows: &[Flow], direction: Direction) -> BigInt {
    flows.iter().filter(|flow| flow.direction == direction).map(|flow| &flow.quantity).sum()
}

proptest! {
    /// No unit is lost or made: what came in and what was uncovered is what went out and what is held.
    #[test]
    fn quantities_add_up(flows in arbitrary_flows()) {
        for method in [CostMethod::Fifo, CostMethod::AverageCost] {
            let result = ProfitAndLoss::of(&flows, method);
            let came = total(&flows, Direction::In) + &result.uncovered;
            prop_assert_eq!(came, total(&flows, Direction::Out) + &result.held);
            prop_assert!(result.held_unpriced <= result.held);
        }
    }

    /// Whichever way costs are counted, where all is priced and covered the profit and the cost of what is held
    /// differ from the money that went in and out by nothing.
    #[test]
    fn dollars_add_up(flows in arbitrary_flows()) {
        for method in [CostMethod::Fifo, CostMethod::AverageCost] {
            let result = ProfitAndLoss::of(&flows, method);
            if result.is_complete() && flows.iter().all(|flow| flow.usd.is_some() && flow.quantity > BigInt::ZERO) {
                let money: Dollars = flows.iter().map(|flow| {
                    let usd = flow.usd.clone().unwrap_or_default();
                    if flow.direction == Direction::Out { usd } else { -usd }
                }).sum();
                prop_assert_eq!(result.realised - result.cost, money);
            }
        }
    }
}
