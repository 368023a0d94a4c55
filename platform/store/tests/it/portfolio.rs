use crypto_intel_schemas::{
    Address, B256, Balance, Decimal, Erc20Transfer, Event, NativeTransfer, Price, Transaction,
    TransactionStatus, Uint256, WatchEntry, Watched,
};
use crypto_intel_service::now_us;
use crypto_intel_store::{
    Store,
    portfolio::{CostMethod, Dollars, Missing, ValuedAsset},
};

use crate::support::{database, step, write};

const MINUTE_US: i64 = 60_000_000;
const WALLET: Address = Address::repeat_byte(1);
const STRANGER: Address = Address::repeat_byte(2);
const PARTNER: Address = Address::repeat_byte(3);
const TOKEN: Address = Address::repeat_byte(0xAA);

/// A time so many minutes ago, and the block of then.
#[derive(Clone, Copy)]
struct Moment {
    now_us: i64,
}

impl Moment {
    fn ago(self, minutes: i64) -> (i64, u64, B256) {
        let height = 1_000 - minutes.unsigned_abs();
        (self.now_us - minutes * MINUTE_US, height, B256::repeat_byte(minutes as u8))
    }

    fn native(
        self,
        minutes: i64,
        parties: (Address, Address),
        value: u64,
        usd: Option<&str>,
    ) -> NativeTransfer {
        let (block_time_us, block_number, block_hash) = self.ago(minutes);
        NativeTransfer {
            chain: "test".into(),
            block_time_us,
            block_number,
            block_hash,
            from: parties.0,
            to: parties.1,
            value: Uint256::from(value),
            symbol: Some("COIN".into()),
            usd: usd.map(decimal),
            ..NativeTransfer::empty()
        }
    }

    fn token(
        self,
        minutes: i64,
        parties: (Address, Address),
        value: u64,
        usd: Option<&str>,
    ) -> Event {
        let (block_time_us, block_number, block_hash) = self.ago(minutes);
        Event::from(Erc20Transfer {
            chain: "test".into(),
            block_time_us,
            block_number,
            block_hash,
            address: TOKEN,
            from: parties.0,
            to: parties.1,
            value: Uint256::from(value),
            symbol: Some("TOK".into()),
            decimals: Some(2),
            usd: usd.map(decimal),
            token_verified: true,
            ..Erc20Transfer::empty()
        })
    }

    fn fee(self, minutes: i64, fee: u64, usd: &str) -> Event {
        let (block_time_us, block_number, block_hash) = self.ago(minutes);
        Event::from(Transaction {
            chain: "test".into(),
            block_time_us,
            block_number,
            block_hash,
            tx_from: Some(WALLET),
            fee: Some(Uint256::from(fee)),
            fee_usd: Some(decimal(usd)),
            decimals: Some(0),
            ..Transaction::empty()
        })
    }

    fn balance(self, minutes: i64, asset: &str, decimals: u8, raw: u64) -> Event {
        let (block_time_us, block_number, block_hash) = self.ago(minutes);
        Event::from(Balance {
            chain: "test".into(),
            block_time_us,
            block_number,
            block_hash,
            address: WALLET,
            asset: asset.to_owned(),
            decimals: Some(decimals),
            raw: Some(Uint256::from(raw)),
            token_verified: true,
            ..Balance::empty()
        })
    }

    fn price(self, minutes: i64, source: &str, quote: &str, price: &str) -> Event {
        Event::from(Price {
            event_at_us: self.ago(minutes).0,
            source: source.to_owned(),
            asset: "coin".into(),
            quote: quote.to_owned(),
            price: decimal(price),
            ..Price::empty()
        })
    }
}

fn decimal(text: &str) -> Decimal {
    Decimal::parse(text).unwrap()
}

fn dollars(text: &str) -> Dollars {
    Dollars::of(&decimal(text))
}

fn key_of(_: &str, token: Option<Address>) -> Option<String> {
    token.is_none().then(|| "coin".to_owned())
}

async fn portfolio(store: &Store, moment: Moment, method: CostMethod) -> Vec<ValuedAsset> {
    store.portfolio_of(&[WALLET], method, &key_of, moment.now_us).await.unwrap()
}

/// Ten coins come for the price of then, four are sold, one is paid as a fee: five are left.
async fn written() -> (crypto_intel_sandbox::TestDatabase, Store, Moment) {
    let (database, store, _) = database().await;
    let moment = Moment { now_us: now_us() };
    let mut failed = moment.native(40, (WALLET, STRANGER), 3, None);
    failed.status = TransactionStatus::Failed;
    let events = [
        // Two sources agree within the hour; one is older, one is in another currency.
        moment.price(100, "one", "usd", "2000"),
        moment.price(110, "two", "usdt", "2010"),
        moment.price(300, "old", "usd", "1"),
        moment.price(100, "one", "eur", "5"),
        moment.price(6, "one", "usd", "2500"),
        moment.native(90, (STRANGER, WALLET), 10, None).into(),
        moment.native(30, (WALLET, STRANGER), 4, Some("10000")).into(),
        moment.native(20, (WALLET, WALLET), 5, Some("12500")).into(),
        failed.into(),
        moment.fee(30, 1, "2500"),
        moment.balance(5, Balance::NATIVE, 0, 5),
        // Came after the reading: it is in the next one.
        moment.native(2, (STRANGER, WALLET), 7, None).into(),
    ];
    write(&store, step(0, 1), &events).await.unwrap();
    (database, store, moment)
}

#[tokio::test]
async fn a_wallet_is_worth_what_it_holds_at_the_price_of_now_and_gained_what_it_sold_above_cost() {
    let (_database, store, moment) = written().await;
    for method in [CostMethod::Fifo, CostMethod::AverageCost] {
        let assets = portfolio(&store, moment, method).await;
        let [ValuedAsset { position, .. }] = &assets[..] else { panic!("{assets:#?}") };
        assert_eq!(position.missing(), []);
        assert_eq!(position.value, Some(dollars("12500")));
        assert_eq!(position.profit.realised, dollars("2500"), "five sold for 2500 that cost 2000");
        assert_eq!(position.unrealised, Some(dollars("2500")));
        assert_eq!(position.fees, dollars("2500"));
        let price = position.price.as_ref().unwrap();
        assert_eq!((price.price.as_str(), price.at_us), ("2500", moment.ago(6).0));
    }
}

#[tokio::test]
async fn what_has_no_price_or_no_past_is_said_and_not_guessed() {
    let (_database, store, moment) = written().await;
    let asset = format!("{TOKEN:#x}");
    let events = [
        moment.token(50, (STRANGER, WALLET), 300, Some("3")),
        moment.token(45, (WALLET, STRANGER), 100, None),
        moment.balance(4, &asset, 2, 1_000),
    ];
    write(&store, step(1, 2), &events).await.unwrap();
    let assets = portfolio(&store, moment, CostMethod::Fifo).await;
    let token = assets.iter().find(|asset| asset.history.token == Some(TOKEN)).unwrap();
    assert_eq!((token.position.value.clone(), token.history.symbol()), (None, Some("TOK")));
    let missing = token.position.missing();
    assert!(missing.contains(&(Missing::CameUnseen, 800.into())), "{missing:?}");
    assert!(missing.contains(&(Missing::UnknownProfit, 100.into())), "{missing:?}");
}

#[tokio::test]
async fn every_watched_wallet_has_a_value_by_chain_and_says_what_is_not_in_it() {
    let (_database, store, moment) = written().await;
    let token = moment.balance(4, &format!("{TOKEN:#x}"), 2, 1_000);
    write(&store, step(1, 2), &[token]).await.unwrap();
    let entry = WatchEntry { label: Some("desk".into()), ..WatchEntry::default() };
    let watched = Watched { chain: "all".parse().unwrap(), address: WALLET.into(), entry };
    store.keep_wallets(&[watched]).await.unwrap();
    let values = store.wallet_values(&key_of, moment.now_us).await.unwrap();
    let [value] = &values[..] else { panic!("{values:#?}") };
    assert_eq!((value.label.as_deref(), value.chain.as_str()), (Some("desk"), "test"));
    assert_eq!((value.value.clone(), value.priced, value.unpriced), (dollars("12500"), 1, 1));
    assert_eq!(value.oldest_price_us, Some(moment.ago(6).0));
}

#[tokio::test]
async fn wallets_of_a_group_count_as_one() {
    let (_database, store, moment) = written().await;
    // Two of the five coins that are left go to another own wallet.
    let own = moment.native(4, (WALLET, PARTNER), 2, Some("5000"));
    let [left, came] = [(WALLET, 3), (PARTNER, 2)].map(|(wallet, raw)| {
        match moment.balance(3, Balance::NATIVE, 0, raw) {
            Event::Balance(balance) => Event::from(Balance { address: wallet, ..balance }),
            other => other,
        }
    });
    write(&store, step(1, 2), &[own.into(), left, came]).await.unwrap();
    let watched = [WALLET, PARTNER].map(|address| {
        let entry = WatchEntry { group: Some("fund".into()), ..WatchEntry::default() };
        Watched { chain: "all".parse().unwrap(), address: address.into(), entry }
    });
    store.keep_wallets(&watched).await.unwrap();
    assert_eq!(store.wallets_of_group("fund").await.unwrap(), [WALLET, PARTNER]);
    assert!(store.wallets_of_group("none").await.unwrap().is_empty());

    let wallets = store.wallets_of_group("fund").await.unwrap();
    let method = CostMethod::Fifo;
    let together = store.portfolio_of(&wallets, method, &key_of, moment.now_us).await.unwrap();
    let alone = store.portfolio_of(&[WALLET], method, &key_of, moment.now_us).await.unwrap();
    let coin = |assets: &[ValuedAsset]| {
        assets.iter().find(|asset| asset.history.token.is_none()).unwrap().position.clone()
    };
    assert_eq!(coin(&together).quantity, 5.into());
    assert_eq!(coin(&together).missing(), []);
    let gained = coin(&alone).profit.realised - coin(&together).profit.realised;
    assert!(gained > Dollars::default(), "alone, the two that moved count as sold: {gained:?}");
    let values = store.wallet_values(&key_of, moment.now_us).await.unwrap();
    assert!(values.iter().all(|value| value.group.as_deref() == Some("fund")), "{values:#?}");
}

#[tokio::test]
async fn a_past_price_is_the_middle_of_those_that_sources_said_before_it() {
    let (_database, store, moment) = written().await;
    let times = [95, 7, 1_000, 5].map(|minutes| moment.ago(minutes).0);
    let prices = store.prices_then("coin", &times).await.unwrap();
    let texts: Vec<Option<&str>> =
        prices.iter().map(|price| price.as_ref().map(|price| price.price.as_str())).collect();
    assert_eq!(texts, [Some("2000"), Some("2000"), None, Some("2500")]);
    assert_eq!(store.prices_then("nothing", &times).await.unwrap(), [None, None, None, None]);
}
