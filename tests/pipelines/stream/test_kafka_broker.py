"""The broker of the tests is a real one: what it took is there after kill -9, and what it lacks it says."""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from bench.kafka_broker import Broker
from bench.prepare import BenchError

WAIT_SECONDS = 30


def produce(broker: Broker, topic: str, values: list[bytes]) -> None:
    failed: list[object] = []
    producer = Producer({"bootstrap.servers": broker.address, "log_level": 0})
    for value in values:
        producer.produce(
            topic, value, partition=0, on_delivery=lambda error, _: failed.append(error) if error else None
        )
    assert producer.flush(WAIT_SECONDS) == 0
    assert not failed


def consume(broker: Broker, topic: str, count: int) -> list[bytes]:
    consumer = Consumer({"bootstrap.servers": broker.address, "group.id": "test", "log_level": 0})
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        return [message.value() or b"" for message in consumer.consume(count, timeout=WAIT_SECONDS)]
    finally:
        consumer.close()


def test_bytes_survive_kill_9(broker: Broker) -> None:
    topic = broker.create_topic("survives")
    values = [b'{"id": "%d"}' % number for number in range(1000)] + [b"\x00\xff no JSON"]
    produce(broker, topic, values)
    broker.kill()
    assert broker.pid is None
    broker.start()
    produce(broker, topic, [b"later"])
    assert consume(broker, topic, len(values) + 1) == [*values, b"later"]


def test_brokers_stand_side_by_side_and_know_their_own_topics_alone(broker: Broker, tmp_path: Path) -> None:
    topic = broker.create_topic("of-one", partitions=3)
    with Broker(tmp_path / "other") as other:
        assert other.address != broker.address
        assert topic not in other.topics()
        other.restart()
        other.create_topic(topic)
        assert other.topics()[topic] == 1
        pid = other.pid
    assert pid
    assert not Path(f"/proc/{pid}").exists()
    assert broker.topics()[topic] == 3


def test_a_topic_is_made_once(broker: Broker) -> None:
    broker.create_topic("once")
    with pytest.raises(KafkaException, match="already exists"):
        broker.create_topic("once")


def test_a_broker_that_cannot_start_says_why(broker: Broker, tmp_path: Path) -> None:
    with (
        pytest.raises(BenchError, match=r"(?s)does not answer; the end of its log:.*in use"),
        Broker(tmp_path / "second", broker.port),
    ):
        pass
