// Transactions: what both isolation levels see, exactly once, fencing.
package matrix;

import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidProducerEpochException;
import org.apache.kafka.common.errors.ProducerFencedException;

final class Transactions {
  private final Cluster cluster;

  Transactions(Cluster cluster) {
    this.cluster = cluster;
  }

  private void expectValues(String topic, String isolation, Set<String> wanted) {
    Set<String> found = new TreeSet<>();
    for (var part : cluster.read(topic, Map.of(), wanted.size(), isolation).values()) {
      for (var one : part) found.add(new String(one.value()));
    }
    Story.expectEqual(found, wanted, isolation);
  }

  private KafkaProducer<byte[], byte[]> transactional(String name) {
    var producer = cluster.producer("transactional.id", name);
    producer.initTransactions();
    return producer;
  }

  // Committed, aborted, committed again, left open: what both isolation levels see of it.
  void transaction(String topic) throws Exception {
    cluster.create(topic, Story.PARTITIONS, Map.of());
    Set<String> seen = new TreeSet<>();
    Set<String> all = new TreeSet<>();
    try (var producer = transactional(topic)) {
      Map<String, Integer> steps = Map.of("kept", 60, "aborted", 30, "again", 9, "open", 3);
      for (String step : List.of("kept", "aborted", "again", "open")) {
        producer.beginTransaction();
        cluster.send(producer,
            Story.plain(topic, 0, steps.get(step), Story.PARTITIONS, step + " "));
        for (int n = 0; n < steps.get(step); ++n) {
          all.add(step + " " + n);
          if (step.equals("kept") || step.equals("again")) seen.add(step + " " + n);
        }
        if (step.equals("aborted")) producer.abortTransaction();
        if (step.equals("kept") || step.equals("again")) producer.commitTransaction();
      }
      expectValues(topic, "read_committed", seen);
      expectValues(topic, "read_uncommitted", all);
      var told = cluster.admin.describeTransactions(List.of(topic)).all().get().get(topic);
      Story.expectEqual(told.state().toString(), "Ongoing", "state of the transaction");
      producer.commitTransaction();
    }
    for (int n = 0; n < 3; ++n) seen.add("open " + n);
    expectValues(topic, "read_committed", seen);
    Story.expectEqual(cluster.admin.listTransactions().all().get().stream()
        .anyMatch(t -> t.transactionalId().equals(topic)), true, "the transaction is listed");
  }

  // Consume, transform, produce: an aborted round leaves no trace, the next one does it all.
  void exactlyOnce(String topic) throws Exception {
    cluster.create(topic, Story.PARTITIONS, Map.of());
    cluster.create(topic + "-out", Story.PARTITIONS, Map.of());
    cluster.produce(Story.plain(topic, 0, 90, Story.PARTITIONS, ""), "none", false);
    try (var producer = transactional(topic)) {
      for (boolean commit : List.of(false, true)) {
        producer.beginTransaction();
        try (var consumer = cluster.consumer(cluster.settings("group.id", topic, "isolation.level",
            "read_committed", "group.protocol", "classic"))) {
          consumer.subscribe(List.of(topic));
          Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
          int count = 0;
          for (long end = System.nanoTime() + 40_000_000_000L;
               count < 90 && System.nanoTime() < end;) {
            for (var one : consumer.poll(Duration.ofMillis(500))) {
              producer.send(new ProducerRecord<>(topic + "-out", one.partition(), null,
                  Story.bytes("out " + new String(one.value()))));
              offsets.put(new TopicPartition(topic, one.partition()),
                  new OffsetAndMetadata(one.offset() + 1));
              ++count;
            }
          }
          Story.expectEqual(count, 90, "records consumed");
          producer.sendOffsetsToTransaction(offsets, consumer.groupMetadata());
          if (commit) producer.commitTransaction();
          else producer.abortTransaction();
        }
      }
    }
    Set<String> wanted = new TreeSet<>();
    for (int n = 0; n < 90; ++n) wanted.add("out " + n);
    expectValues(topic + "-out", "read_committed", wanted);
    for (int p = 0; p < Story.PARTITIONS; ++p) {
      Story.expectEqual(cluster.committed(topic, new TopicPartition(topic, p)), 30L, "offset");
    }
  }

  void fenced(String topic) throws Exception {
    cluster.create(topic, Story.PARTITIONS, Map.of());
    var first = transactional(topic);
    first.beginTransaction();
    cluster.send(first, Story.plain(topic, 0, 9, Story.PARTITIONS, "first "));
    try (var second = transactional(topic)) {
      try {
        first.commitTransaction();
        throw new Story.Wrong("a commit of who was shut out was accepted");
      } catch (ProducerFencedException | InvalidProducerEpochException expected) {
        first.close(Duration.ZERO);
      }
      second.beginTransaction();
      cluster.send(second, Story.plain(topic, 0, 9, Story.PARTITIONS, "second "));
      second.commitTransaction();
    }
    Set<String> wanted = new TreeSet<>();
    for (int n = 0; n < 9; ++n) wanted.add("second " + n);
    expectValues(topic, "read_committed", wanted);
  }
}
