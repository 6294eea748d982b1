// Apache Kafka's own Java client with transactions (version 2, KIP-890: every end gives the next
// epoch): commit and abort at both isolation levels, offsets in a transaction, a producer of old
// is fenced. TransactionClient ADDRESS.
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsOptions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public final class TransactionClient {
  private static final String TOPIC = "java-transactions";
  private static final int PARTITIONS = 3;

  private static void expectEqual(Object found, Object wanted, String what) {
    if (Objects.equals(found, wanted)) return;
    System.out.println(what + ": found " + found + ", wanted " + wanted);
    System.exit(1);
  }

  private static KafkaProducer<String, String> producer(String address) {
    return new KafkaProducer<>(
        Map.of("bootstrap.servers", address, "transactional.id", "java", "max.block.ms", 30000),
        new StringSerializer(), new StringSerializer());
  }

  private static void send(KafkaProducer<String, String> producer, int count) {
    for (int n = 0; n < count; ++n) {
      producer.send(new ProducerRecord<>(TOPIC, n % PARTITIONS, null, Integer.toString(n)));
    }
    producer.flush();  // An abort drops what was not sent yet.
  }

  private static int count(String address, String isolation) {
    int found = 0;
    try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(
        Map.of("bootstrap.servers", address, "isolation.level", isolation),
        new StringDeserializer(), new StringDeserializer())) {
      List<TopicPartition> all = new java.util.ArrayList<>();
      for (int n = 0; n < PARTITIONS; ++n) all.add(new TopicPartition(TOPIC, n));
      consumer.assign(all);
      consumer.seekToBeginning(all);
      Map<TopicPartition, Long> ends = consumer.endOffsets(all);
      while (all.stream().anyMatch(p -> consumer.position(p) < ends.get(p))) {
        for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(200))) {
          if (record.value() != null) ++found;
        }
      }
    }
    return found;
  }

  // A commit is told when it is decided; its markers come a moment later.
  private static void expectCount(String address, String isolation, int wanted, String what) {
    long end = System.nanoTime() + 20_000_000_000L;
    int found = count(address, isolation);
    while (found != wanted && System.nanoTime() < end) found = count(address, isolation);
    expectEqual(found, wanted, what);
  }

  // The markers of an end come a moment later than its answer. Until then the offset is unstable,
  // and the admin client leaves a partition out that was answered UNSTABLE_OFFSET_COMMIT.
  private static Long committed(Admin admin) throws Exception {
    long end = System.nanoTime() + 20_000_000_000L;
    OffsetAndMetadata found = null;
    while (found == null && System.nanoTime() < end) {
      found = admin.listConsumerGroupOffsets("java-transactions",
              new ListConsumerGroupOffsetsOptions().requireStable(true))
          .partitionsToOffsetAndMetadata().get().get(new TopicPartition(TOPIC, 0));
    }
    return found == null ? null : found.offset();
  }

  private static void sendOffset(KafkaProducer<String, String> producer, long offset) {
    producer.sendOffsetsToTransaction(
        Map.of(new TopicPartition(TOPIC, 0), new OffsetAndMetadata(offset)),
        new ConsumerGroupMetadata("java-transactions"));
  }

  public static void main(String[] args) throws Exception {
    String address = args[0];
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", address))) {
      admin.createTopics(List.of(new NewTopic(TOPIC, PARTITIONS, (short) 1))).all().get();
      expectEqual((int) admin.describeFeatures().featureMetadata().get().finalizedFeatures()
          .get("transaction.version").maxVersionLevel(), 2, "the transaction version");
      KafkaProducer<String, String> first = producer(address);
      first.initTransactions();
      for (int round = 0; round < 20; ++round) {
        first.beginTransaction();
        send(first, 10);
        sendOffset(first, round);
        if (round % 2 == 0) first.commitTransaction();
        else first.abortTransaction();
        expectEqual(committed(admin), round % 2 == 0 ? round : round - 1L, "the offset committed");
      }
      expectCount(address, "read_committed", 100, "records committed");
      expectCount(address, "read_uncommitted", 200, "records written");
      first.beginTransaction();
      send(first, 10);
      first.flush();
      expectCount(address, "read_committed", 100, "records committed, others open");
      KafkaProducer<String, String> second = producer(address);
      second.initTransactions();
      try {
        first.commitTransaction();
        expectEqual(true, false, "the producer of old is fenced");
      } catch (KafkaException fenced) {
        // As it should be.
      }
      first.close(Duration.ZERO);
      second.beginTransaction();
      send(second, 5);
      second.commitTransaction();
      second.beginTransaction();
      second.abortTransaction();
      second.close();
      expectCount(address, "read_committed", 105, "records committed by both");
      expectEqual(admin.describeTransactions(List.of("java")).all().get().get("java")
          .producerEpoch() > 20, true, "every transaction has an epoch of its own");
    }
    System.out.println("kafka-clients with transactions, Java "
        + System.getProperty("java.version"));
    System.out.println("OK");
  }
}
