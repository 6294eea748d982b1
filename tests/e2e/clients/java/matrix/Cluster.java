// The broker under test: what the features share.
package matrix;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

final class Cluster {
  final String address;
  final Admin admin;

  Cluster(String address) {
    this.address = address;
    this.admin = Admin.create(Map.of("bootstrap.servers", address));
  }

  Map<String, Object> settings(Object... pairs) {
    Map<String, Object> all = new HashMap<>(Map.of("bootstrap.servers", address));
    for (int i = 0; i < pairs.length; i += 2) all.put((String) pairs[i], pairs[i + 1]);
    return all;
  }

  KafkaProducer<byte[], byte[]> producer(Object... pairs) {
    return new KafkaProducer<>(settings(pairs), new ByteArraySerializer(),
        new ByteArraySerializer());
  }

  KafkaConsumer<byte[], byte[]> consumer(Map<String, Object> settings) {
    settings.putIfAbsent("enable.auto.commit", false);
    settings.putIfAbsent("auto.offset.reset", "earliest");
    return new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
  }

  void create(String topic, int partitions, Map<String, String> configs) throws Exception {
    admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1).configs(configs)))
        .all().get();
  }

  List<Long> send(KafkaProducer<byte[], byte[]> producer,
      List<ProducerRecord<byte[], byte[]>> records) throws Exception {
    List<Future<RecordMetadata>> told = new ArrayList<>();
    for (var one : records) told.add(producer.send(one));
    producer.flush();
    List<Long> offsets = new ArrayList<>();
    for (var one : told) offsets.add(one.get().offset());
    return offsets;
  }

  List<Long> produce(List<ProducerRecord<byte[], byte[]>> records, String codec,
      boolean idempotent) throws Exception {
    try (var producer = producer("compression.type", codec, "linger.ms", 20,
        "enable.idempotence", idempotent, "acks", "all")) {
      return send(producer, records);
    }
  }

  // `count` records by partition, from the start or the given offsets, and nothing beyond them.
  Map<Integer, List<ConsumerRecord<byte[], byte[]>>> read(String topic,
      Map<Integer, Long> from, int count, String isolation) {
    Map<Integer, List<ConsumerRecord<byte[], byte[]>>> found = new TreeMap<>();
    for (int p = 0; p < Story.PARTITIONS; ++p) found.put(p, new ArrayList<>());
    try (var consumer = consumer(settings("isolation.level", isolation))) {
      List<TopicPartition> places = IntStream.range(0, Story.PARTITIONS)
          .mapToObj(p -> new TopicPartition(topic, p)).toList();
      consumer.assign(places);
      consumer.seekToBeginning(places);
      from.forEach((p, offset) -> consumer.seek(places.get(p), offset));
      int left = count;
      while (left > 0) {
        var polled = consumer.poll(Duration.ofSeconds(20));
        Story.expectEqual(polled.isEmpty(), false, "nothing, and " + left + " to come");
        for (var one : polled) found.get(one.partition()).add(one);
        left -= polled.count();
      }
      Story.expectEqual(consumer.poll(Duration.ofMillis(500)).count(), 0, "beyond the end");
    }
    return found;
  }

  void fill(String topic, int first, int count) throws Exception {
    produce(Story.plain(topic, first, count, Story.MEMBER_PARTITIONS, ""), "none", false);
  }

  Long committed(String group, TopicPartition place) throws Exception {
    OffsetAndMetadata told = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata()
        .get().get(place);
    return told == null ? null : told.offset();
  }
}
