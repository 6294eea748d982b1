// Apache Kafka's own Java client. Client HOST:PORT [FEATURE...].
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentSkipListSet;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidProducerEpochException;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public final class Client {
  private final String address;
  private final Admin admin;

  private Client(String address) {
    this.address = address;
    this.admin = Admin.create(Map.of("bootstrap.servers", address));
  }

  private Map<String, Object> settings(Object... pairs) {
    Map<String, Object> all = new HashMap<>(Map.of("bootstrap.servers", address));
    for (int i = 0; i < pairs.length; i += 2) all.put((String) pairs[i], pairs[i + 1]);
    return all;
  }

  private KafkaProducer<byte[], byte[]> producer(Object... pairs) {
    return new KafkaProducer<>(settings(pairs), new ByteArraySerializer(),
        new ByteArraySerializer());
  }

  private KafkaConsumer<byte[], byte[]> consumer(Map<String, Object> settings) {
    settings.putIfAbsent("enable.auto.commit", false);
    settings.putIfAbsent("auto.offset.reset", "earliest");
    return new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
  }

  private void create(String topic, int partitions, Map<String, String> configs) throws Exception {
    admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1).configs(configs)))
        .all().get();
  }

  private static List<Long> send(KafkaProducer<byte[], byte[]> producer,
      List<ProducerRecord<byte[], byte[]>> records) throws Exception {
    List<Future<RecordMetadata>> told = new ArrayList<>();
    for (var one : records) told.add(producer.send(one));
    producer.flush();
    List<Long> offsets = new ArrayList<>();
    for (var one : told) offsets.add(one.get().offset());
    return offsets;
  }

  private List<Long> produce(List<ProducerRecord<byte[], byte[]>> records, String codec,
      boolean idempotent) throws Exception {
    try (var producer = producer("compression.type", codec, "linger.ms", 20,
        "enable.idempotence", idempotent, "acks", "all")) {
      return send(producer, records);
    }
  }

  // `count` records by partition, from the start or the given offsets, and nothing beyond them.
  private Map<Integer, List<ConsumerRecord<byte[], byte[]>>> read(String topic,
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

  private void roundTrip(String topic, String codec, boolean idempotent) throws Exception {
    create(topic, Story.PARTITIONS, Map.of());
    var sent = Story.records(topic, codec);
    List<Long> told = produce(sent, codec, idempotent);
    var found = read(topic, Map.of(), Story.COUNT, "read_committed");
    for (int n = 0; n < Story.COUNT; ++n) {
      long offset = n / Story.PARTITIONS;
      var wanted = sent.get(n);
      var one = found.get(wanted.partition()).get((int) offset);
      String where = "record " + n;
      Story.expectEqual(told.get(n), offset, where + ", offset told");
      Story.expectEqual(one.offset(), offset, where + ", offset");
      Story.expectEqual(one.timestamp(), wanted.timestamp(), where + ", time");
      Story.expectEqual(Arrays.equals(one.key(), wanted.key()), true, where + ", key");
      Story.expectEqual(Arrays.equals(one.value(), wanted.value()), true, where + ", value");
      Story.expectEqual(one.headers(), wanted.headers(), where + ", headers");
    }
  }

  private void seek(String topic) throws Exception {
    create(topic, Story.PARTITIONS, Map.of());
    produce(Story.records(topic, "seek"), "none", false);
    TopicPartition one = new TopicPartition(topic, 1);
    Map<OffsetSpec, Long> wanted = Map.of(OffsetSpec.earliest(), 0L, OffsetSpec.latest(), 200L,
        OffsetSpec.maxTimestamp(), 199L, OffsetSpec.forTimestamp(Story.START_MS + 450_000), 150L);
    for (var spec : wanted.entrySet()) {
      long found = admin.listOffsets(Map.of(one, spec.getKey())).partitionResult(one).get()
          .offset();
      Story.expectEqual(found, spec.getValue(), "offset by " + spec.getKey());
    }
    long at;
    try (var consumer = consumer(settings())) {
      Story.expectEqual(consumer.beginningOffsets(List.of(one)).get(one), 0L, "beginning");
      Story.expectEqual(consumer.endOffsets(List.of(one)).get(one), 200L, "end");
      at = consumer.offsetsForTimes(Map.of(one, Story.START_MS + 450_000)).get(one).offset();
    }
    var found = read(topic, Map.of(0, 198L, 1, at, 2, 200L), 52, "read_committed");
    Story.expectEqual(found.get(0).get(0).offset(), 198L, "after a seek");
    Story.expectEqual(found.get(1).get(0).timestamp(), Story.START_MS + 451_000, "by time");
  }

  // A member polls on a thread of its own, and commits before somebody else reads on.
  private final class Member extends Thread {
    final Set<String> found = new ConcurrentSkipListSet<>();
    volatile int count;
    volatile boolean stopping;
    volatile Exception failed;
    private final KafkaConsumer<byte[], byte[]> consumer;

    Member(String topic, String kind, String instance) {
      var all = settings("group.id", topic);
      if (kind.equals("kip848")) {
        all.put("group.protocol", "consumer");
      } else {
        all.putAll(Map.of("group.protocol", "classic", "session.timeout.ms", 6000,
            "heartbeat.interval.ms", 1000, "partition.assignment.strategy",
            "org.apache.kafka.clients.consumer." + (kind.equals("cooperative")
                ? "CooperativeStickyAssignor" : "RangeAssignor")));
      }
      if (instance != null) all.put("group.instance.id", instance);
      consumer = consumer(all);
      consumer.subscribe(List.of(topic), new ConsumerRebalanceListener() {
        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> taken) {}

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> given) {
          consumer.commitSync();
        }
      });
      setDaemon(true);
      start();
    }

    @Override
    public void run() {
      try {
        while (!stopping) {
          for (var one : consumer.poll(Duration.ofMillis(100))) {
            found.add(one.partition() + ":" + one.offset());
          }
          count = consumer.assignment().size();
        }
        consumer.commitSync();
        consumer.close();
      } catch (Exception error) {
        failed = error;
      }
    }

    boolean has(int records) throws Exception {
      if (failed != null) throw failed;
      return found.size() >= records;
    }

    void finish() throws Exception {
      stopping = true;
      join(30_000);
      has(0);
      Story.expectEqual(isAlive(), false, "a member that stops is still there");
    }
  }

  private void fill(String topic, int first, int count) throws Exception {
    produce(Story.plain(topic, first, count, Story.MEMBER_PARTITIONS, ""), "none", false);
  }

  private void resume(String topic) throws Exception {
    create(topic, Story.MEMBER_PARTITIONS, Map.of());
    int[][] steps = {{0, 200}, {200, 4}, {204, 0}, {204, 40}};
    for (int[] step : steps) {
      fill(topic, step[0], step[1]);
      Member member = new Member(topic, "group", null);
      Story.waitFor(() -> member.has(step[1]) && member.count == 4, "records from a commit on");
      Thread.sleep(300);
      member.finish();
      Set<String> wanted = new TreeSet<>();
      for (int n = step[0]; n < step[0] + step[1]; ++n) wanted.add(n % 4 + ":" + n / 4);
      Story.expectEqual(member.found, wanted, "records from a commit on");
    }
  }

  private void share(String topic, String kind) throws Exception {
    create(topic, Story.MEMBER_PARTITIONS, Map.of());
    fill(topic, 0, 400);
    Member first = new Member(topic, kind, null);
    Story.waitFor(() -> first.has(400), "all records");
    Member second = new Member(topic, kind, "static-2");
    Story.waitFor(() -> second.has(0) && first.count == 2 && second.count == 2, "two each");
    fill(topic, 400, 400);
    Story.waitFor(() -> {
      Set<String> both = new TreeSet<>(first.found);
      both.addAll(second.found);
      return both.size() == 800;
    }, "all records of both");
    var told = admin.describeConsumerGroups(List.of(topic)).all().get().get(topic);
    Story.expectEqual(told.groupState(), GroupState.STABLE, "state");
    Story.expectEqual(told.members().size(), 2, "members");
    first.finish();
    Story.waitFor(() -> second.count == 4, "all for who stays");
    second.finish();
    fill(topic, 800, 4);
    Member third = new Member(topic, kind, "static-2");
    Story.waitFor(() -> third.has(4), "what came since");
    third.finish();
    Story.expectEqual(third.found, Set.of("0:200", "1:200", "2:200", "3:200"), "what came since");
  }

  private boolean listed(String group) throws Exception {
    return admin.listGroups().all().get().stream().anyMatch(g -> g.groupId().equals(group));
  }

  private Long offset(String group, TopicPartition place) throws Exception {
    OffsetAndMetadata told = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata()
        .get().get(place);
    return told == null ? null : told.offset();
  }

  private void groupAdmin(String group) throws Exception {
    create(group, Story.MEMBER_PARTITIONS, Map.of());
    fill(group, 0, 80);
    Member member = new Member(group, "group", "static-1");
    Story.waitFor(() -> member.has(80), "all records");
    member.finish();
    Story.waitFor(() -> admin.describeConsumerGroups(List.of(group)).all().get().get(group)
        .groupState() == GroupState.EMPTY, "the static member's session ends");
    Story.expectEqual(listed(group), true, "the group is listed");
    TopicPartition place = new TopicPartition(group, 0);
    Story.expectEqual(offset(group, place), 20L, "committed");
    admin.alterConsumerGroupOffsets(group, Map.of(place, new OffsetAndMetadata(7, "why"))).all()
        .get();
    Story.expectEqual(offset(group, place), 7L, "changed");
    admin.deleteConsumerGroupOffsets(group, Set.of(place)).all().get();
    Story.expectEqual(offset(group, place), null, "deleted");
    admin.deleteConsumerGroups(List.of(group)).all().get();
    Story.expectEqual(listed(group), false, "the group is gone");
  }

  private void expectValues(String topic, String isolation, Set<String> wanted) {
    Set<String> found = new TreeSet<>();
    for (var part : read(topic, Map.of(), wanted.size(), isolation).values()) {
      for (var one : part) found.add(new String(one.value()));
    }
    Story.expectEqual(found, wanted, isolation);
  }

  private KafkaProducer<byte[], byte[]> transactional(String name) {
    var producer = producer("transactional.id", name);
    producer.initTransactions();
    return producer;
  }

  // Committed, aborted, committed again, left open: what both isolation levels see of it.
  private void transaction(String topic) throws Exception {
    create(topic, Story.PARTITIONS, Map.of());
    Set<String> seen = new TreeSet<>();
    Set<String> all = new TreeSet<>();
    try (var producer = transactional(topic)) {
      Map<String, Integer> steps = Map.of("kept", 60, "aborted", 30, "again", 9, "open", 3);
      for (String step : List.of("kept", "aborted", "again", "open")) {
        producer.beginTransaction();
        send(producer, Story.plain(topic, 0, steps.get(step), Story.PARTITIONS, step + " "));
        for (int n = 0; n < steps.get(step); ++n) {
          all.add(step + " " + n);
          if (step.equals("kept") || step.equals("again")) seen.add(step + " " + n);
        }
        if (step.equals("aborted")) producer.abortTransaction();
        if (step.equals("kept") || step.equals("again")) producer.commitTransaction();
      }
      expectValues(topic, "read_committed", seen);
      expectValues(topic, "read_uncommitted", all);
      var told = admin.describeTransactions(List.of(topic)).all().get().get(topic);
      Story.expectEqual(told.state().toString(), "Ongoing", "state of the transaction");
      producer.commitTransaction();
    }
    for (int n = 0; n < 3; ++n) seen.add("open " + n);
    expectValues(topic, "read_committed", seen);
    Story.expectEqual(admin.listTransactions().all().get().stream()
        .anyMatch(t -> t.transactionalId().equals(topic)), true, "the transaction is listed");
  }

  // Consume, transform, produce: an aborted round leaves no trace, the next one does it all.
  private void exactlyOnce(String topic) throws Exception {
    create(topic, Story.PARTITIONS, Map.of());
    create(topic + "-out", Story.PARTITIONS, Map.of());
    produce(Story.plain(topic, 0, 90, Story.PARTITIONS, ""), "none", false);
    try (var producer = transactional(topic)) {
      for (boolean commit : List.of(false, true)) {
        producer.beginTransaction();
        try (var consumer = consumer(settings("group.id", topic, "isolation.level",
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
      Story.expectEqual(offset(topic, new TopicPartition(topic, p)), 30L, "offset");
    }
  }

  private void fenced(String topic) throws Exception {
    create(topic, Story.PARTITIONS, Map.of());
    var first = transactional(topic);
    first.beginTransaction();
    send(first, Story.plain(topic, 0, 9, Story.PARTITIONS, "first "));
    try (var second = transactional(topic)) {
      try {
        first.commitTransaction();
        throw new Story.Wrong("a commit of who was shut out was accepted");
      } catch (ProducerFencedException | InvalidProducerEpochException expected) {
        first.close(Duration.ZERO);
      }
      second.beginTransaction();
      send(second, Story.plain(topic, 0, 9, Story.PARTITIONS, "second "));
      second.commitTransaction();
    }
    Set<String> wanted = new TreeSet<>();
    for (int n = 0; n < 9; ++n) wanted.add("second " + n);
    expectValues(topic, "read_committed", wanted);
  }

  private String retention(ConfigResource resource) throws Exception {
    return admin.describeConfigs(List.of(resource)).all().get().get(resource).get("retention.ms")
        .value();
  }

  private Void alter(ConfigResource resource, String value, AlterConfigOp.OpType type)
      throws Exception {
    AlterConfigOp change = new AlterConfigOp(new ConfigEntry("retention.ms", value), type);
    admin.incrementalAlterConfigs(Map.of(resource, List.of(change))).all().get();
    return null;
  }

  private void administer(String topic) throws Exception {
    create(topic, Story.PARTITIONS, Map.of("retention.ms", "-1"));
    Story.expectError(TopicExistsException.class, () -> {
      create(topic, 1, Map.of());
      return null;
    }, "the same topic again");
    Story.expectEqual(admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic)
        .partitions().size(), Story.PARTITIONS, "partitions");
    Story.expectEqual(admin.describeCluster().nodes().get().size(), 1, "nodes");
    produce(Story.records(topic, "admin"), "none", false);
    ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
    Story.expectEqual(retention(resource), "-1", "retention.ms as created");
    alter(resource, "86400000", AlterConfigOp.OpType.SET);
    Story.waitFor(() -> retention(resource).equals("86400000"), "retention.ms altered");
    alter(resource, null, AlterConfigOp.OpType.DELETE);
    Story.waitFor(() -> retention(resource).equals("604800000"), "retention.ms by default");
    Story.expectError(InvalidConfigurationException.class,
        () -> alter(resource, "soon", AlterConfigOp.OpType.SET), "a bad value");
    TopicPartition zero = new TopicPartition(topic, 0);
    var told = admin.deleteRecords(Map.of(zero, RecordsToDelete.beforeOffset(40)));
    Story.expectEqual(told.lowWatermarks().get(zero).get().lowWatermark(), 40L, "low watermark");
    // Below the start: the reset policy finds the first record.
    var left = read(topic, Map.of(0, 10L), Story.COUNT - 40, "read_committed");
    Story.expectEqual(left.get(0).get(0).offset(), 40L, "first record left");
    admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(5))).all().get();
    Story.waitFor(() -> admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic)
        .partitions().size() == 5, "partitions after growing");
    admin.deleteTopics(Set.of(topic)).all().get();
    Story.waitFor(() -> !admin.listTopics().names().get().contains(topic), "the topic is gone");
  }

  private void tell(String feature, String topic) throws Exception {
    switch (feature) {
      case "admin" -> administer(topic);
      case "idempotent" -> roundTrip(topic, "none", true);
      case "seek" -> seek(topic);
      case "resume" -> resume(topic);
      case "group", "cooperative", "kip848" -> share(topic, feature);
      case "group-admin" -> groupAdmin(topic);
      case "transaction" -> transaction(topic);
      case "exactly-once" -> exactlyOnce(topic);
      case "fenced" -> fenced(topic);
      default -> roundTrip(topic, feature, false);
    }
  }

  public static void main(String[] arguments) {
    Client client = new Client(arguments[0]);
    client.admin.metrics().values().stream()
        .filter(m -> m.metricName().group().equals("app-info")
            && m.metricName().name().equals("version"))
        .findFirst().ifPresent(m -> System.out.println("version " + m.metricValue()));
    List<String> chosen = arguments.length > 1
        ? Arrays.asList(arguments).subList(1, arguments.length) : Story.FEATURES;
    for (String feature : chosen) {
      String said = "ok";
      try {
        client.tell(feature, "java-" + feature + "-" + System.currentTimeMillis() % 1_000_000_000);
      } catch (Exception error) {
        if (!(error instanceof Story.Wrong)) error.printStackTrace();
        said = "bad " + error.toString().replace('\n', ' ');
      }
      System.out.println("feature " + feature + " " + said);
    }
    System.exit(0);
  }
}
