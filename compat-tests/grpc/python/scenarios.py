"""Runs scenarios of the Python 5.x client; the contract is in ../README.md."""
import json
import os
import sys
import threading
import time
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

OUT = os.fdopen(os.dup(1), "w", buffering=1)
# The client prints; the lines of this program stay clean.
os.dup2(2, 1)

from rocketmq import (  # noqa: E402
    ClientConfiguration,
    ConsumeResult,
    Credentials,
    FilterExpression,
    Message,
    MessageListener,
    Producer,
    PushConsumer,
    SimpleConsumer,
    TransactionChecker,
    TransactionResolution,
)
from rocketmq.grpc_protocol import FilterType  # noqa: E402

DELIVERY_S = 45
SCENARIOS = {}


def scenario(name):
    def register(function):
        SCENARIOS[name] = function
        return function

    return register


def check(what, holds):
    if not holds:
        raise AssertionError(what)


def equal(what, wanted, got):
    check(f"{what}: wanted {wanted}, got {got}", wanted == got)


def wait_for(what, condition, limit=DELIVERY_S):
    end = time.time() + limit
    while not condition():
        check(f"not within {limit} s: {what}", time.time() < end)
        time.sleep(0.02)


class Listener(MessageListener):
    def __init__(self, consume):
        self.function = consume

    def consume(self, message):
        return self.function(message)


class Checker(TransactionChecker):
    def __init__(self, function):
        self.function = function

    def check(self, message):
        return self.function(message)


class Ctx:
    """What a scenario works with: the names the runner made for it, and clients that are closed afterwards."""

    def __init__(self, endpoints, run, name):
        self.endpoints = endpoints
        self.prefix = f"G{run}_{name.replace('-', '_')}_"
        self.facts = {}
        # Milliseconds, by what took them.
        self.times = {}
        self.clients = []

    def name(self, suffix):
        return self.prefix + suffix

    def config(self):
        return ClientConfiguration(self.endpoints, Credentials(), request_timeout=10)

    def own(self, client):
        client.startup()
        self.clients.append(client)
        return client

    def producer(self, topic, checker=None):
        return self.own(Producer(self.config(), (topic,), Checker(checker) if checker else None))

    def simple(self, group, topic, expression=None, await_s=5):
        return self.own(SimpleConsumer(self.config(), group, {topic: expression or FilterExpression()}, await_s))

    def push(self, group, topic, consume):
        return self.own(PushConsumer(self.config(), group, Listener(consume), {topic: FilterExpression()}))

    def close(self):
        for client in self.clients:
            try:
                client.shutdown()
            except Exception as e:
                print(f"close: {e}", file=sys.stderr)


def message(topic, body, **more):
    result = Message()
    result.topic = topic
    result.body = body.encode() if isinstance(body, str) else body
    for key, value in more.items():
        setattr(result, key, value)
    return result


def receive(consumer, count):
    """Receives and acknowledges until there are so many."""
    got = []
    end = time.time() + DELIVERY_S
    while len(got) < count and time.time() < end:
        for each in consumer.receive(16, 20) or []:
            got.append(each)
            consumer.ack(each)
    return got


def first(consumer, invisible_s):
    end = time.time() + DELIVERY_S
    while time.time() < end:
        got = consumer.receive(1, invisible_s)
        if got:
            return got[0]
    raise AssertionError("no message")


def bodies(messages):
    return [each.body.decode() for each in messages]


def refusal(action):
    try:
        action()
    except Exception as e:
        return type(e).__name__
    raise AssertionError("not refused")


@scenario("send")
def send(ctx):
    topic = ctx.name("normal")
    consumer = ctx.simple(ctx.name("g"), topic)
    consumer.receive(1, 10)
    producer = ctx.producer(topic)
    ids = {producer.send(message(topic, f"body {i}")).message_id for i in range(20)}
    equal("distinct ids", 20, len(ids))
    got = receive(consumer, 20)
    equal("ids", ids, {each.message_id for each in got})
    equal("bodies", {f"body {i}" for i in range(20)}, set(bodies(got)))
    equal("attempts", {1}, {each.delivery_attempt for each in got})
    equal("after the acknowledgements", [], consumer.receive(16, 10) or [])


@scenario("send-async")
def send_async(ctx):
    topic = ctx.name("normal")
    producer = ctx.producer(topic)
    futures = [producer.send_async(message(topic, f"body {i}")) for i in range(300)]
    equal("distinct ids", 300, len({future.result(20).message_id for future in futures}))


@scenario("send-properties")
def send_properties(ctx):
    topic = ctx.name("normal")
    consumer = ctx.simple(ctx.name("g"), topic)
    consumer.receive(1, 10)
    sent = message(topic, "Grüße, 世界", tag="täg")
    sent.keys = "k1"
    sent.add_property("a", "1")
    sent.add_property("ключ", "значение = x;y")
    ctx.producer(topic).send(sent)
    got = receive(consumer, 1)
    equal("messages", ["Grüße, 世界"], bodies(got))
    equal("tag", "täg", got[0].tag)
    equal("keys", ["k1"], list(got[0].keys))
    equal("properties", {"a": "1", "ключ": "значение = x;y"}, dict(got[0].properties))
    check("born host", bool(got[0].born_host))


@scenario("send-large")
def send_large(ctx):
    topic = ctx.name("normal")
    consumer = ctx.simple(ctx.name("g"), topic)
    consumer.receive(1, 10)
    producer = ctx.producer(topic)
    body = bytes(i * 31 >> 3 & 255 for i in range(4 * 1024 * 1024))
    producer.send(message(topic, body))
    got = receive(consumer, 1)
    equal("messages", 1, len(got))
    check("the body came as it was", got[0].body == body)
    ctx.facts["one byte more"] = refusal(lambda: producer.send(message(topic, body + b"x")))


@scenario("send-refused")
def send_refused(ctx):
    topic = ctx.name("normal")
    producer = ctx.producer(topic)
    ctx.facts["group on a normal topic"] = refusal(lambda: producer.send(message(topic, "x", message_group="g")))
    delayed = message(topic, "x", delivery_timestamp=int(time.time()) + 1)
    ctx.facts["delay on a normal topic"] = refusal(lambda: producer.send(delayed))
    ctx.facts["unknown topic"] = refusal(lambda: producer.send(message(ctx.name("missing"), "x")))
    producer.send(message(topic, "still alive"))


@scenario("delay")
def delay(ctx):
    topic = ctx.name("delay")
    consumer = ctx.simple(ctx.name("g"), topic)
    consumer.receive(1, 10)
    due = int(time.time()) + 4
    ctx.producer(topic).send(message(topic, "later", delivery_timestamp=due))
    equal("messages", ["later"], bodies(receive(consumer, 1)))
    check(f"came at {time.time() - due} s from its time", -0.5 < time.time() - due < 10)


@scenario("recall")
def recall(ctx):
    topic = ctx.name("delay")
    consumer = ctx.simple(ctx.name("g"), topic)
    consumer.receive(1, 10)
    producer = ctx.producer(topic)
    due = int(time.time()) + 6
    receipt = producer.send(message(topic, "recalled", delivery_timestamp=due))
    producer.send(message(topic, "kept", delivery_timestamp=due))
    producer.recall_message(topic, receipt.recall_handle)
    equal("messages", ["kept"], bodies(receive(consumer, 1)))
    equal("nothing more", [], consumer.receive(16, 10) or [])


@scenario("transaction")
def transaction(ctx):
    topic = ctx.name("tx")
    consumer = ctx.simple(ctx.name("g"), topic)
    consumer.receive(1, 10)
    producer = ctx.producer(topic, lambda _: TransactionResolution.TRANSACTION_RESOLUTION_UNSPECIFIED)
    commit = producer.begin_transaction()
    producer.send(message(topic, "committed"), commit)
    rollback = producer.begin_transaction()
    producer.send(message(topic, "rolled back"), rollback)
    rollback.rollback()
    commit.commit()
    equal("messages", ["committed"], bodies(receive(consumer, 1)))
    equal("nothing more", [], consumer.receive(16, 10) or [])


@scenario("transaction-check")
def transaction_check(ctx):
    topic = ctx.name("tx")
    consumer = ctx.simple(ctx.name("g"), topic)
    consumer.receive(1, 10)
    checked = Counter()

    def resolve(each):
        body = each.body.decode()
        checked[body] += 1
        return TransactionResolution.COMMIT if body == "commit me" else TransactionResolution.ROLLBACK

    producer = ctx.producer(topic, resolve)
    for body in ("commit me", "roll me back"):
        producer.send(message(topic, body), producer.begin_transaction())
    wait_for("both are checked", lambda: len(checked) == 2, 60)
    equal("messages", ["commit me"], bodies(receive(consumer, 1)))
    equal("nothing more", [], consumer.receive(16, 10) or [])


@scenario("simple-redelivery")
def simple_redelivery(ctx):
    topic = ctx.name("normal")
    consumer = ctx.simple(ctx.name("g"), topic)
    consumer.receive(1, 10)
    ctx.producer(topic).send(message(topic, "again"))
    one = first(consumer, 10)
    begin = time.time()
    two = first(consumer, 30)
    check(f"came back after {time.time() - begin} s", 8 < time.time() - begin < 25)
    equal("attempt", 2, two.delivery_attempt)
    equal("id", one.message_id, two.message_id)
    consumer.ack(two)
    equal("after the acknowledgement", [], consumer.receive(16, 10) or [])


@scenario("simple-change-invisible")
def simple_change_invisible(ctx):
    topic = ctx.name("normal")
    consumer = ctx.simple(ctx.name("g"), topic)
    consumer.receive(1, 10)
    ctx.producer(topic).send(message(topic, "hidden"))
    one = first(consumer, 60)
    begin = time.time()
    consumer.change_invisible_duration(one, 5)
    again = first(consumer, 60)
    check(f"came back after {time.time() - begin} s", 4 < time.time() - begin < 20)
    equal("attempt", 2, again.delivery_attempt)
    consumer.change_invisible_duration(again, 60)
    consumer.ack(again)
    equal("nothing more", [], consumer.receive(16, 10) or [])


@scenario("simple-ack-changed")
def simple_ack_changed(ctx):
    """Several of each queue, so that most do not stand first in their pop: what their new handles acknowledge stays away."""
    topic = ctx.name("normal")
    consumer = ctx.simple(ctx.name("g"), topic)
    consumer.receive(1, 10)
    producer = ctx.producer(topic)
    for i in range(12):
        producer.send(message(topic, f"body {i}"))
    got = []
    end = time.time() + DELIVERY_S
    while len(got) < 12 and time.time() < end:
        got += consumer.receive(32, 60) or []
    for each in got:
        consumer.change_invisible_duration(each, 8)
        consumer.ack(each)
    equal("received", 12, len(got))
    for _ in range(3):
        equal("nothing more", [], consumer.receive(32, 60) or [])


@scenario("filter-tag")
def filter_tag(ctx):
    topic = ctx.name("normal")
    consumer = ctx.simple(ctx.name("g"), topic, FilterExpression("red || blue"))
    consumer.receive(1, 10)
    producer = ctx.producer(topic)
    for tag in ("red", "green", "blue", "BaB", "red"):
        producer.send(message(topic, tag, tag=tag))
    producer.send(message(topic, "no tag"))
    equal("messages", ["blue", "red", "red"], sorted(bodies(receive(consumer, 3))))
    equal("nothing more", [], consumer.receive(16, 10) or [])


@scenario("filter-sql")
def filter_sql(ctx):
    topic = ctx.name("normal")
    expression = FilterExpression("size > 3 AND colour IN ('red', 'blue')", FilterType.SQL)
    consumer = ctx.simple(ctx.name("g"), topic, expression)
    consumer.receive(1, 10)
    producer = ctx.producer(topic)
    for colour in ("red", "green", "blue"):
        for size in ("1", "5"):
            each = message(topic, colour + size)
            each.add_property("colour", colour)
            each.add_property("size", size)
            producer.send(each)
    equal("messages", ["blue5", "red5"], sorted(bodies(receive(consumer, 2))))
    equal("nothing more", [], consumer.receive(16, 10) or [])


class Inbox:
    def __init__(self):
        self.lock = threading.Lock()
        self.seen = []

    def add(self, item):
        with self.lock:
            self.seen.append(item)
            return len(self.seen)


def is_probe(each, probes):
    body = each.body.decode()
    if not body.startswith("probe"):
        return False
    probes.add(body)
    return True


def settle(producer, topic, probes, ordered=False):
    """Sends until the consumer has seen something, so that its group has a place in every queue."""
    begin = time.time()
    count = 0
    while not probes.seen:
        check("the consumer sees nothing", time.time() - begin < 2 * DELIVERY_S)
        more = {"message_group": f"probe {count}"} if ordered else {}
        producer.send(message(topic, f"probe {count}", **more))
        count += 1
        time.sleep(0.5)


@scenario("push")
def push(ctx):
    topic = ctx.name("normal")
    probes, got = Inbox(), Inbox()

    def consume(each):
        if not is_probe(each, probes):
            got.add(each.body.decode())
        return ConsumeResult.SUCCESS

    ctx.push(ctx.name("g"), topic, consume)
    producer = ctx.producer(topic)
    settle(producer, topic, probes)
    for i in range(200):
        producer.send(message(topic, f"body {i}"))
    wait_for("200 messages", lambda: len(set(got.seen)) == 200)
    time.sleep(2)
    equal("deliveries", 200, len(got.seen))


@scenario("push-first")
def push_first(ctx):
    """How long a message waits for a consumer that starts: one that is there already, the next one, one for a group that is new."""
    topic, group = ctx.name("normal"), ctx.name("g")
    settler = ctx.simple(group, topic)
    settler.receive(1, 10)
    settler.shutdown()
    producer = ctx.producer(topic)
    producer.send(message(topic, "first"))
    seen, fresh = {}, []

    def consume(each):
        seen.setdefault(each.body.decode(), time.time())
        return ConsumeResult.SUCCESS

    def any_of_them(_):
        fresh.append(time.time())
        return ConsumeResult.SUCCESS

    def took(what, begin, end):
        ctx.times[what] = int((end - begin) * 1000)

    begin = time.time()
    ctx.push(group, topic, consume)
    took("start", begin, time.time())
    wait_for("the first message", lambda: "first" in seen, 60)
    took("first", begin, seen["first"])
    sent = time.time()
    producer.send(message(topic, "next"))
    wait_for("the next message", lambda: "next" in seen, 60)
    took("next", sent, seen["next"])

    begin = time.time()
    ctx.push(ctx.name("fresh"), topic, any_of_them)
    count = 0
    while not fresh:
        check("a new group sees nothing", count < 600)
        producer.send(message(topic, f"probe {count}"))
        count += 1
        time.sleep(0.1)
    took("fresh", begin, fresh[0])


@scenario("push-retry")
def push_retry(ctx):
    topic = ctx.name("normal")
    probes, attempts = Inbox(), Inbox()

    def consume(each):
        if is_probe(each, probes) or attempts.add(each.delivery_attempt) >= 3:
            return ConsumeResult.SUCCESS
        return ConsumeResult.FAILURE

    ctx.push(ctx.name("g"), topic, consume)
    producer = ctx.producer(topic)
    settle(producer, topic, probes)
    producer.send(message(topic, "hard"))
    wait_for("three attempts", lambda: len(attempts.seen) >= 3, 60)
    time.sleep(3)
    equal("attempts", [1, 2, 3], attempts.seen)


def dead_letters(ctx, group, count):
    end = time.time() + 60
    while True:
        try:
            return bodies(receive(ctx.simple(ctx.name("reader"), f"%DLQ%{group}"), count))
        except Exception:
            if time.time() > end:
                raise
            time.sleep(0.5)


@scenario("push-dlq")
def push_dlq(ctx):
    topic, group = ctx.name("normal"), ctx.name("once")
    probes, attempts = Inbox(), Inbox()

    def consume(each):
        if is_probe(each, probes):
            return ConsumeResult.SUCCESS
        attempts.add(each.delivery_attempt)
        return ConsumeResult.FAILURE

    ctx.push(group, topic, consume)
    producer = ctx.producer(topic)
    settle(producer, topic, probes)
    producer.send(message(topic, "hopeless"))
    wait_for("two attempts", lambda: len(attempts.seen) >= 2, 60)
    equal("dead letters", ["hopeless"], dead_letters(ctx, group, 1))
    equal("attempts", [1, 2], attempts.seen)


@scenario("fifo")
def fifo(ctx):
    topic = ctx.name("fifo")
    probes, got = Inbox(), Inbox()

    def consume(each):
        if not is_probe(each, probes):
            got.add((each.message_group, each.body.decode()))
        return ConsumeResult.SUCCESS

    ctx.push(ctx.name("order"), topic, consume)
    producer = ctx.producer(topic)
    settle(producer, topic, probes, True)
    sent = []
    for i in range(70):
        sent.append((f"group-{i % 7}", f"body {i}"))
        producer.send(message(topic, sent[-1][1], message_group=sent[-1][0]))
    wait_for("70 messages", lambda: len(got.seen) >= 70, 60)
    for group in {group for group, _ in sent}:
        of = lambda pairs: [body for each, body in pairs if each == group]  # noqa: E731
        equal(f"order of {group}", of(sent), of(got.seen))


@scenario("fifo-retry")
def fifo_retry(ctx):
    topic = ctx.name("fifo")
    probes, got = Inbox(), Inbox()

    def consume(each):
        if is_probe(each, probes):
            return ConsumeResult.SUCCESS
        body = each.body.decode()
        before = body in got.seen
        got.add(body)
        return ConsumeResult.SUCCESS if body != "b" or before else ConsumeResult.FAILURE

    ctx.push(ctx.name("order"), topic, consume)
    producer = ctx.producer(topic)
    settle(producer, topic, probes, True)
    for body in ("a", "b", "c", "d"):
        producer.send(message(topic, body, message_group="one"))
    wait_for("five deliveries", lambda: len(got.seen) >= 5, 60)
    equal("order", ["a", "b", "b", "c", "d"], got.seen)


def one(name, ctx):
    begin = time.time()
    failure = ""
    done = threading.Event()

    def body():
        nonlocal failure
        try:
            SCENARIOS[name](ctx)
        except BaseException as e:
            where = traceback.extract_tb(e.__traceback__)
            ours = [frame for frame in where if frame.filename.endswith("scenarios.py")]
            failure = f"{type(e).__name__}: {e} at line {ours[-1].lineno if ours else '?'}"
        done.set()

    threading.Thread(target=body, daemon=True).start()
    if not done.wait(150):
        failure = "not finished after 150 s"
    result = {"scenario": name, "ok": failure == "", "detail": failure, "ms": int((time.time() - begin) * 1000)}
    OUT.write(json.dumps({**result, "facts": ctx.facts, "times": ctx.times}) + "\n")
    threading.Thread(target=ctx.close, daemon=True).start()


def main():
    args = sys.argv[1:]
    if "--list" in args:
        OUT.write("\n".join(SCENARIOS) + "\n")
        return
    options, names = {}, []
    while args:
        arg = args.pop(0)
        if arg.startswith("--"):
            options[arg] = args.pop(0)
        else:
            names.append(arg)
    with ThreadPoolExecutor(int(options.get("--parallel", "1"))) as lanes:
        list(lanes.map(lambda name: one(name, Ctx(options["--endpoints"], options["--run"], name)), names))


main()
OUT.flush()
# Clients that take long to stop must not keep the runner waiting.
os._exit(0)
