// Apache Kafka's own Java client: admin, every codec, seeks, configs, deletes. Client ADDRESS.
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public final class Client {
  private static final String TOPIC = "java";
  private static final int PARTITIONS = 3;
  private static final int PER_CODEC = 600;
  private static final long START_MS = 1_700_000_000_000L;
  private static final List<String> CODECS = List.of("none", "gzip", "snappy", "lz4", "zstd");
  private static final long END = PER_CODEC / PARTITIONS * CODECS.size();
  private static final ConfigResource RESOURCE =
      new ConfigResource(ConfigResource.Type.TOPIC, TOPIC);

  private final String address;

  private Client(String address) {
    this.address = address;
  }

  private static void expectEqual(Object found, Object wanted, String what) {
    if (Objects.equals(found, wanted)) return;
    System.out.println(what + ": found " + found + ", wanted " + wanted);
    System.exit(1);
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static ProducerRecord<byte[], byte[]> record(String codec, int number) {
    byte[] key = number % 7 == 0 ? null : bytes(codec + "-" + number);
    byte[] value = number % 97 == 96 ? null : bytes((codec + " " + number).repeat(number % 40));
    ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(
        TOPIC, number % PARTITIONS, START_MS + 1000L * number, key, value);
    if (number % 3 > 0) record.headers().add("n", bytes("" + number));
    if (number % 3 > 1) record.headers().add("null", null);
    return record;
  }

  private static List<TopicPartition> partitions() {
    return IntStream.range(0, PARTITIONS).mapToObj(p -> new TopicPartition(TOPIC, p)).toList();
  }

  private static void create(Admin admin) throws Exception {
    NewTopic topic = new NewTopic(TOPIC, PARTITIONS, (short) 1)
        .configs(Map.of("retention.ms", "-1"));
    admin.createTopics(List.of(topic)).all().get();
    try {
      admin.createTopics(List.of(topic)).all().get();
      expectEqual("created", "refused", "the same topic again");
    } catch (ExecutionException error) {
      expectEqual(error.getCause().getClass(), TopicExistsException.class, "the same topic again");
    }
    expectEqual(admin.listTopics().names().get().contains(TOPIC), true, "the topic is listed");
    expectEqual(admin.describeTopics(List.of(TOPIC)).allTopicNames().get().get(TOPIC)
        .partitions().size(), PARTITIONS, "partitions");
    expectEqual(admin.describeCluster().nodes().get().size(), 1, "nodes");
  }

  private void produce() throws Exception {
    for (String codec : CODECS) {
      Map<String, Object> settings = Map.of("bootstrap.servers", address, "compression.type",
          codec, "linger.ms", 20, "enable.idempotence", true, "acks", "all");
      List<Future<RecordMetadata>> told = new ArrayList<>();
      try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(
          settings, new ByteArraySerializer(), new ByteArraySerializer())) {
        for (int n = 0; n < PER_CODEC; ++n) told.add(producer.send(record(codec, n)));
        producer.flush();
      }
      long base = (long) CODECS.indexOf(codec) * PER_CODEC / PARTITIONS;
      for (int n = 0; n < PER_CODEC; ++n) {
        expectEqual(told.get(n).get().offset(), base + n / PARTITIONS, "offset told");
      }
    }
  }

  private KafkaConsumer<byte[], byte[]> openConsumer() {
    KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(
        Map.of("bootstrap.servers", address, "enable.auto.commit", false, "auto.offset.reset",
            "earliest", "isolation.level", "read_committed"),
        new ByteArrayDeserializer(), new ByteArrayDeserializer());
    consumer.assign(partitions());
    return consumer;
  }

  private static Map<Integer, List<ConsumerRecord<byte[], byte[]>>> consume(
      KafkaConsumer<byte[], byte[]> consumer, long count) {
    Map<Integer, List<ConsumerRecord<byte[], byte[]>>> found = new HashMap<>();
    for (int p = 0; p < PARTITIONS; ++p) found.put(p, new ArrayList<>());
    long left = count;
    while (left > 0) {
      var polled = consumer.poll(Duration.ofSeconds(20));
      expectEqual(polled.isEmpty(), false, "nothing, and " + left + " of " + count + " to come");
      for (var one : polled) found.get(one.partition()).add(one);
      left -= polled.count();
    }
    return found;
  }

  private static void compare(KafkaConsumer<byte[], byte[]> consumer) {
    consumer.seekToBeginning(partitions());
    var found = consume(consumer, END * PARTITIONS);
    for (int p = 0; p < PARTITIONS; ++p) {
      expectEqual(found.get(p).size(), (int) END, "count of partition " + p);
      int offset = 0;
      for (String codec : CODECS) {
        for (int n = p; n < PER_CODEC; n += PARTITIONS) {
          var one = found.get(p).get(offset);
          var wanted = record(codec, n);
          String where = "record " + offset + " of partition " + p;
          expectEqual(one.offset(), (long) offset, where);
          expectEqual(one.timestamp(), wanted.timestamp(), where + ", time");
          expectEqual(Arrays.equals(one.key(), wanted.key()), true, where + ", key");
          expectEqual(Arrays.equals(one.value(), wanted.value()), true, where + ", value");
          expectEqual(one.headers(), wanted.headers(), where + ", headers");
          ++offset;
        }
      }
    }
  }

  private static void offsets(KafkaConsumer<byte[], byte[]> consumer, Admin admin)
      throws Exception {
    TopicPartition one = new TopicPartition(TOPIC, 1);
    expectEqual(consumer.beginningOffsets(partitions()).get(one), 0L, "beginning");
    expectEqual(consumer.endOffsets(partitions()).get(one), END, "end");
    expectEqual(consumer.offsetsForTimes(Map.of(one, START_MS + 450_000)).get(one).offset(), 150L,
        "by time");
    Map<OffsetSpec, Long> wanted = Map.of(OffsetSpec.earliest(), 0L, OffsetSpec.latest(), END,
        OffsetSpec.maxTimestamp(), 199L, OffsetSpec.forTimestamp(START_MS + 300_000), 100L);
    for (var spec : wanted.entrySet()) {
      long found = admin.listOffsets(Map.of(one, spec.getKey())).partitionResult(one).get()
          .offset();
      expectEqual(found, spec.getValue(), "offset by " + spec.getKey());
    }
    for (TopicPartition partition : partitions()) consumer.seek(partition, END - 2);
    var found = consume(consumer, 2 * PARTITIONS);
    expectEqual(found.get(1).get(0).offset(), END - 2, "after a seek");
  }

  private static String valueOf(Admin admin, String key) throws Exception {
    Config config = admin.describeConfigs(List.of(RESOURCE)).all().get().get(RESOURCE);
    return config.get(key).value();
  }

  private static void alter(Admin admin, String key, String value, AlterConfigOp.OpType type)
      throws Exception {
    AlterConfigOp change = new AlterConfigOp(new ConfigEntry(key, value), type);
    admin.incrementalAlterConfigs(Map.of(RESOURCE, List.of(change))).all().get();
  }

  private static void configs(Admin admin) throws Exception {
    expectEqual(valueOf(admin, "retention.ms"), "-1", "retention.ms as created");
    alter(admin, "retention.ms", "86400000", AlterConfigOp.OpType.SET);
    expectEqual(valueOf(admin, "retention.ms"), "86400000", "retention.ms altered");
    alter(admin, "retention.ms", null, AlterConfigOp.OpType.DELETE);
    expectEqual(valueOf(admin, "retention.ms"), "604800000", "retention.ms by default");
    try {
      alter(admin, "retention.ms", "soon", AlterConfigOp.OpType.SET);
      expectEqual("altered", "refused", "a bad value");
    } catch (ExecutionException error) {
      expectEqual(error.getCause().getClass(), InvalidConfigurationException.class, "a bad value");
    }
  }

  private static void deleteAll(Admin admin, KafkaConsumer<byte[], byte[]> consumer)
      throws Exception {
    TopicPartition zero = new TopicPartition(TOPIC, 0);
    var told = admin.deleteRecords(Map.of(zero, RecordsToDelete.beforeOffset(400)));
    expectEqual(told.lowWatermarks().get(zero).get().lowWatermark(), 400L, "low watermark");
    consumer.seek(zero, 10);  // Below the start: the reset policy finds the first record.
    consumer.assign(List.of(zero));
    expectEqual(consume(consumer, END - 400).get(0).get(0).offset(), 400L, "first record left");
    admin.createPartitions(Map.of(TOPIC, NewPartitions.increaseTo(PARTITIONS + 2))).all().get();
    expectEqual(admin.describeTopics(List.of(TOPIC)).allTopicNames().get().get(TOPIC)
        .partitions().size(), PARTITIONS + 2, "partitions after growing");
    admin.deleteTopics(Set.of(TOPIC)).all().get();
    expectEqual(admin.listTopics().names().get().contains(TOPIC), false, "the topic is listed");
  }

  private static Object version(KafkaConsumer<byte[], byte[]> consumer) {
    for (var metric : consumer.metrics().values()) {
      boolean isVersion = metric.metricName().group().equals("app-info")
          && metric.metricName().name().equals("version");
      if (isVersion) return metric.metricValue();
    }
    return "of unknown version";
  }

  public static void main(String[] arguments) throws Exception {
    Client client = new Client(arguments[0]);
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", arguments[0]));
         KafkaConsumer<byte[], byte[]> consumer = client.openConsumer()) {
      System.out.println("kafka-clients " + version(consumer) + ", Java "
          + System.getProperty("java.version"));
      create(admin);
      client.produce();
      compare(consumer);
      offsets(consumer, admin);
      configs(admin);
      deleteAll(admin, consumer);
    }
    System.out.println("OK");
  }
}
