//! Runs scenarios of the Rust 5.x client; the contract is in ../README.md. The client has producers and simple consumers.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::future::Future;
use std::io::Write;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rocketmq::conf::{ClientOption, ProducerOption, SimpleConsumerOption};
use rocketmq::model::common::{FilterExpression, FilterType};
use rocketmq::model::message::{MessageBuilder, MessageView};
use rocketmq::model::transaction::{Transaction, TransactionResolution};
use rocketmq::{Producer, SimpleConsumer};

const DELIVERY: Duration = Duration::from_secs(45);

type Outcome = Result<(), String>;
type Running = Pin<Box<dyn Future<Output = Outcome> + Send>>;

#[derive(Clone)]
struct Ctx {
    endpoints: String,
    prefix: String,
}

fn text(error: impl std::fmt::Debug) -> String {
    format!("{error:?}")
}

fn check(what: &str, holds: bool) -> Outcome {
    if holds { Ok(()) } else { Err(what.to_string()) }
}

fn equal<T: PartialEq + std::fmt::Debug>(what: &str, wanted: T, got: T) -> Outcome {
    check(&format!("{what}: wanted {wanted:?}, got {got:?}"), wanted == got)
}

fn now_seconds() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

impl Ctx {
    fn name(&self, suffix: &str) -> String {
        format!("{}{}", self.prefix, suffix)
    }

    fn client(&self) -> ClientOption {
        let mut option = ClientOption::default();
        option.set_access_url(self.endpoints.clone());
        option.set_enable_tls(false);
        option.set_timeout(Duration::from_secs(10));
        option.set_long_polling_timeout(Duration::from_secs(6));
        option
    }

    async fn producer(&self, topic: &str) -> Result<Producer, String> {
        let mut option = ProducerOption::default();
        option.set_topics(vec![topic]);
        let mut producer = Producer::new(option, self.client()).map_err(text)?;
        producer.start().await.map_err(text)?;
        Ok(producer)
    }

    async fn transactional(
        &self,
        topic: &str,
        checker: impl Fn(String, MessageView) -> TransactionResolution + Send + Sync + 'static,
    ) -> Result<Producer, String> {
        let mut option = ProducerOption::default();
        option.set_topics(vec![topic]);
        let mut producer =
            Producer::new_transaction_producer(option, self.client(), Box::new(checker)).map_err(text)?;
        producer.start().await.map_err(text)?;
        Ok(producer)
    }

    async fn consumer(&self, topic: &str) -> Result<SimpleConsumer, String> {
        let mut option = SimpleConsumerOption::default();
        option.set_topics(vec![topic]);
        option.set_consumer_group(self.name("g"));
        let mut consumer = SimpleConsumer::new(option, self.client()).map_err(text)?;
        consumer.start().await.map_err(text)?;
        Ok(consumer)
    }
}

fn all() -> FilterExpression {
    FilterExpression::new(FilterType::Tag, "*")
}

async fn receive(
    consumer: &SimpleConsumer,
    topic: &str,
    filter: &FilterExpression,
    batch: i32,
    invisible: u64,
) -> Result<Vec<MessageView>, String> {
    consumer
        .receive_with(topic, filter, batch, Duration::from_secs(invisible))
        .await
        .map_err(text)
}

/// Receives and acknowledges until there are so many.
async fn take(
    consumer: &SimpleConsumer,
    topic: &str,
    filter: &FilterExpression,
    count: usize,
) -> Result<Vec<MessageView>, String> {
    let mut got = vec![];
    let begin = Instant::now();
    while got.len() < count && begin.elapsed() < DELIVERY {
        for view in receive(consumer, topic, filter, 16, 20).await? {
            consumer.ack(&view).await.map_err(text)?;
            got.push(view);
        }
    }
    Ok(got)
}

async fn nothing_more(consumer: &SimpleConsumer, topic: &str, filter: &FilterExpression) -> Outcome {
    equal("nothing more", 0, receive(consumer, topic, filter, 16, 10).await?.len())
}

fn bodies(views: &[MessageView]) -> Vec<String> {
    views.iter().map(|view| String::from_utf8_lossy(view.body()).into_owned()).collect()
}

fn plain(topic: &str, body: &str) -> MessageBuilder {
    MessageBuilder::builder().set_topic(topic).set_body(body.as_bytes().to_vec())
}

async fn send(ctx: Ctx) -> Outcome {
    let topic = ctx.name("normal");
    let consumer = ctx.consumer(&topic).await?;
    receive(&consumer, &topic, &all(), 1, 10).await?;
    let producer = ctx.producer(&topic).await?;
    let mut ids = BTreeSet::new();
    for i in 0..20 {
        let message = plain(&topic, &format!("body {i}")).build().map_err(text)?;
        ids.insert(producer.send(message).await.map_err(text)?.message_id().to_string());
    }
    equal("distinct ids", 20, ids.len())?;
    let views = take(&consumer, &topic, &all(), 20).await?;
    equal("ids", ids, views.iter().map(|view| view.message_id().to_string()).collect())?;
    equal("bodies", 20, bodies(&views).into_iter().collect::<HashSet<_>>().len())?;
    check("attempts", views.iter().all(|view| view.delivery_attempt() == 1))?;
    nothing_more(&consumer, &topic, &all()).await
}

async fn send_batch(ctx: Ctx) -> Outcome {
    let topic = ctx.name("normal");
    let consumer = ctx.consumer(&topic).await?;
    receive(&consumer, &topic, &all(), 1, 10).await?;
    let producer = ctx.producer(&topic).await?;
    let mut messages = vec![];
    for i in 0..5 {
        messages.push(plain(&topic, &format!("body {i}")).set_tag("t").build().map_err(text)?);
    }
    let receipts = producer.batch_send(messages).await.map_err(text)?;
    check("at least one receipt", !receipts.is_empty())?;
    let views = take(&consumer, &topic, &all(), 5).await?;
    let mut got = bodies(&views);
    got.sort();
    equal("bodies", (0..5).map(|i| format!("body {i}")).collect(), got)?;
    check("tags", views.iter().all(|view| view.tag() == Some("t")))?;
    nothing_more(&consumer, &topic, &all()).await
}

async fn send_properties(ctx: Ctx) -> Outcome {
    let topic = ctx.name("normal");
    let consumer = ctx.consumer(&topic).await?;
    receive(&consumer, &topic, &all(), 1, 10).await?;
    let producer = ctx.producer(&topic).await?;
    let properties = HashMap::from([("a", "1"), ("ключ", "значение = x;y")]);
    let message = plain(&topic, "Grüße, 世界")
        .set_tag("täg")
        .set_keys(vec!["k1", "schlüssel-2"])
        .set_properties(properties)
        .build()
        .map_err(text)?;
    producer.send(message).await.map_err(text)?;
    let views = take(&consumer, &topic, &all(), 1).await?;
    equal("bodies", vec!["Grüße, 世界".to_string()], bodies(&views))?;
    let view = &views[0];
    equal("tag", Some("täg"), view.tag())?;
    equal("keys", &["k1".to_string(), "schlüssel-2".to_string()][..], view.keys())?;
    equal("property", Some("значение = x;y"), view.properties().get("ключ").map(String::as_str))?;
    check("born host", !view.born_host().is_empty())
}

async fn delay(ctx: Ctx) -> Outcome {
    let topic = ctx.name("delay");
    let consumer = ctx.consumer(&topic).await?;
    receive(&consumer, &topic, &all(), 1, 10).await?;
    let producer = ctx.producer(&topic).await?;
    let due = now_seconds() + 4;
    let message = MessageBuilder::delay_message_builder(topic.clone(), b"later".to_vec(), due).build().map_err(text)?;
    producer.send(message).await.map_err(text)?;
    equal("messages", vec!["later".to_string()], bodies(&take(&consumer, &topic, &all(), 1).await?))?;
    let late = now_seconds() - due;
    check(&format!("came {late} s from its time"), (-1..10).contains(&late))
}

async fn fifo(ctx: Ctx) -> Outcome {
    let topic = ctx.name("fifo");
    let producer = ctx.producer(&topic).await?;
    let mut option = SimpleConsumerOption::default();
    option.set_topics(vec![topic.clone()]);
    option.set_consumer_group(ctx.name("order"));
    let mut consumer = SimpleConsumer::new(option, ctx.client()).map_err(text)?;
    consumer.start().await.map_err(text)?;
    receive(&consumer, &topic, &all(), 1, 10).await?;
    let mut sent: HashMap<String, Vec<String>> = HashMap::new();
    for i in 0..35 {
        let (group, body) = (format!("group-{}", i % 7), format!("body {i}"));
        let message = MessageBuilder::fifo_message_builder(topic.clone(), body.clone().into_bytes(), group.clone())
            .build()
            .map_err(text)?;
        producer.send(message).await.map_err(text)?;
        sent.entry(group).or_default().push(body);
    }
    let mut got: HashMap<String, Vec<String>> = HashMap::new();
    for view in take(&consumer, &topic, &all(), 35).await? {
        let group = view.message_group().unwrap_or("").to_string();
        got.entry(group).or_default().push(String::from_utf8_lossy(view.body()).into_owned());
    }
    check(&format!("order: wanted {sent:?}, got {got:?}"), sent == got)
}

async fn transaction(ctx: Ctx) -> Outcome {
    let topic = ctx.name("tx");
    let consumer = ctx.consumer(&topic).await?;
    receive(&consumer, &topic, &all(), 1, 10).await?;
    let producer = ctx.transactional(&topic, |_, _| TransactionResolution::UNKNOWN).await?;
    let half = |body: &str| {
        MessageBuilder::transaction_message_builder(topic.clone(), body.as_bytes().to_vec()).build().map_err(text)
    };
    let commit = producer.send_transaction_message(half("committed")?).await.map_err(text)?;
    let rollback = producer.send_transaction_message(half("rolled back")?).await.map_err(text)?;
    rollback.rollback().await.map_err(text)?;
    commit.commit().await.map_err(text)?;
    equal("messages", vec!["committed".to_string()], bodies(&take(&consumer, &topic, &all(), 1).await?))?;
    nothing_more(&consumer, &topic, &all()).await
}

async fn transaction_check(ctx: Ctx) -> Outcome {
    let topic = ctx.name("tx");
    let consumer = ctx.consumer(&topic).await?;
    receive(&consumer, &topic, &all(), 1, 10).await?;
    let checked = Arc::new(Mutex::new(HashSet::new()));
    let seen = checked.clone();
    let producer = ctx
        .transactional(&topic, move |_, view| {
            let body = String::from_utf8_lossy(view.body()).into_owned();
            let commit = body == "commit me";
            seen.lock().unwrap().insert(body);
            if commit { TransactionResolution::COMMIT } else { TransactionResolution::ROLLBACK }
        })
        .await?;
    for body in ["commit me", "roll me back"] {
        let message =
            MessageBuilder::transaction_message_builder(topic.clone(), body.as_bytes().to_vec()).build().map_err(text)?;
        // The transaction is left alone: the server has to ask.
        std::mem::forget(producer.send_transaction_message(message).await.map_err(text)?);
    }
    let begin = Instant::now();
    while checked.lock().unwrap().len() < 2 {
        check("both are checked", begin.elapsed() < Duration::from_secs(60))?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    equal("messages", vec!["commit me".to_string()], bodies(&take(&consumer, &topic, &all(), 1).await?))?;
    nothing_more(&consumer, &topic, &all()).await
}

async fn simple_redelivery(ctx: Ctx) -> Outcome {
    let topic = ctx.name("normal");
    let consumer = ctx.consumer(&topic).await?;
    receive(&consumer, &topic, &all(), 1, 10).await?;
    let producer = ctx.producer(&topic).await?;
    producer.send(plain(&topic, "again").build().map_err(text)?).await.map_err(text)?;
    let one = first(&consumer, &topic, 10).await?;
    let begin = Instant::now();
    let two = first(&consumer, &topic, 30).await?;
    let waited = begin.elapsed().as_secs();
    check(&format!("came back after {waited} s"), (8..25).contains(&waited))?;
    equal("attempt", 2, two.delivery_attempt())?;
    equal("id", one.message_id(), two.message_id())?;
    consumer.ack(&two).await.map_err(text)?;
    nothing_more(&consumer, &topic, &all()).await
}

async fn first(consumer: &SimpleConsumer, topic: &str, invisible: u64) -> Result<MessageView, String> {
    let begin = Instant::now();
    while begin.elapsed() < DELIVERY {
        if let Some(view) = receive(consumer, topic, &all(), 1, invisible).await?.pop() {
            return Ok(view);
        }
    }
    Err("no message".to_string())
}

async fn filtered(ctx: Ctx, filter: FilterExpression, wanted: Vec<&str>) -> Outcome {
    let topic = ctx.name("normal");
    let consumer = ctx.consumer(&topic).await?;
    receive(&consumer, &topic, &filter, 1, 10).await?;
    let producer = ctx.producer(&topic).await?;
    for colour in ["red", "green", "blue"] {
        for size in ["1", "5"] {
            let message = plain(&topic, &format!("{colour}{size}"))
                .set_tag(colour)
                .set_properties(HashMap::from([("colour", colour), ("size", size)]))
                .build()
                .map_err(text)?;
            producer.send(message).await.map_err(text)?;
        }
    }
    let mut got = bodies(&take(&consumer, &topic, &filter, wanted.len()).await?);
    got.sort();
    equal("messages", wanted.into_iter().map(String::from).collect(), got)?;
    nothing_more(&consumer, &topic, &filter).await
}

async fn filter_tag(ctx: Ctx) -> Outcome {
    let filter = FilterExpression::new(FilterType::Tag, "red || blue");
    filtered(ctx, filter, vec!["blue1", "blue5", "red1", "red5"]).await
}

async fn filter_sql(ctx: Ctx) -> Outcome {
    let filter = FilterExpression::new(FilterType::Sql, "size > 3 AND colour IN ('red', 'blue')");
    filtered(ctx, filter, vec!["blue5", "red5"]).await
}

fn scenario(name: &str, ctx: Ctx) -> Option<Running> {
    Some(match name {
        "send" => Box::pin(send(ctx)),
        "send-batch" => Box::pin(send_batch(ctx)),
        "send-properties" => Box::pin(send_properties(ctx)),
        "delay" => Box::pin(delay(ctx)),
        "fifo" => Box::pin(fifo(ctx)),
        "transaction" => Box::pin(transaction(ctx)),
        "transaction-check" => Box::pin(transaction_check(ctx)),
        "simple-redelivery" => Box::pin(simple_redelivery(ctx)),
        "filter-tag" => Box::pin(filter_tag(ctx)),
        "filter-sql" => Box::pin(filter_sql(ctx)),
        _ => return None,
    })
}

const NAMES: [&str; 10] = [
    "send",
    "send-batch",
    "send-properties",
    "delay",
    "fifo",
    "transaction",
    "transaction-check",
    "simple-redelivery",
    "filter-tag",
    "filter-sql",
];

async fn one(name: String, ctx: Ctx) {
    let begin = Instant::now();
    // A panic of the client is a failure of its scenario.
    let running = tokio::spawn(scenario(&name, ctx).expect("a known scenario"));
    let failure = match tokio::time::timeout(Duration::from_secs(150), running).await {
        Ok(Ok(Ok(()))) => String::new(),
        Ok(Ok(Err(failure))) => failure,
        Ok(Err(panic)) => text(panic),
        Err(_) => "not finished after 150 s".to_string(),
    };
    let line = serde_json::json!({
        "scenario": name,
        "ok": failure.is_empty(),
        "detail": failure,
        "ms": begin.elapsed().as_millis() as u64,
        "facts": {},
    });
    println!("{line}");
}

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let (mut endpoints, mut run, mut parallel, mut names) = (String::new(), String::new(), 1, vec![]);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--list" => {
                println!("{}", NAMES.join("\n"));
                return;
            }
            "--endpoints" => endpoints = args.next().unwrap(),
            "--run" => run = args.next().unwrap(),
            "--parallel" => parallel = args.next().unwrap().parse().unwrap(),
            _ => names.push(arg),
        }
    }
    let slots = Arc::new(tokio::sync::Semaphore::new(parallel));
    let mut tasks = vec![];
    for name in names {
        let ctx = Ctx { endpoints: endpoints.clone(), prefix: format!("G{run}_{}_", name.replace('-', "_")) };
        let slots = slots.clone();
        tasks.push(tokio::spawn(async move {
            let _slot = slots.acquire().await.unwrap();
            one(name, ctx).await;
        }));
    }
    for task in tasks {
        let _ = task.await;
    }
    std::io::stdout().flush().unwrap();
    // Clients that take long to stop must not keep the runner waiting.
    std::process::exit(0);
}
