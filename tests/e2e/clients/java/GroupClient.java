// Apache Kafka's own Java client by group (the classic protocol): two members share, one leaves,
// commits are resumed, groups are administered. GroupClient ADDRESS.
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.BooleanSupplier;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public final class GroupClient {
  private static final int PARTITIONS = 4;
  private static final int RECORDS = 400;
  private static final Map<String, String> STRATEGIES = Map.of(
      "java-range", "org.apache.kafka.clients.consumer.RangeAssignor",
      "java-cooperative", "org.apache.kafka.clients.consumer.CooperativeStickyAssignor");

  private static void expectEqual(Object found, Object wanted, String what) {
    if (Objects.equals(found, wanted)) return;
    System.out.println(what + ": found " + found + ", wanted " + wanted);
    System.exit(1);
  }

  private static void waitFor(BooleanSupplier done, String what) throws Exception {
    long end = System.nanoTime() + 60_000_000_000L;
    while (!done.getAsBoolean()) {
      expectEqual(System.nanoTime() < end, true, "in time: " + what);
      Thread.sleep(50);
    }
  }

  // A member polls on a thread of its own.
  private static final class Member extends Thread {
    final Set<String> found = ConcurrentHashMap.newKeySet();
    volatile int count;
    volatile boolean stopping;
    private final KafkaConsumer<String, String> consumer;

    Member(String address, String group, String instance) {
      Map<String, Object> settings = new HashMap<>(Map.of("bootstrap.servers", address,
          "group.id", group, "group.protocol", "classic", "auto.offset.reset", "earliest",
          "enable.auto.commit", false, "session.timeout.ms", 6000, "heartbeat.interval.ms", 1000,
          "partition.assignment.strategy", STRATEGIES.get(group)));
      if (instance != null) settings.put("group.instance.id", instance);
      consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
      consumer.subscribe(List.of(group), new ConsumerRebalanceListener() {
        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> taken) {}

        // What was read is committed before somebody else reads on.
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
      while (!stopping) {
        for (ConsumerRecord<String, String> one : consumer.poll(Duration.ofMillis(100))) {
          found.add(one.partition() + ":" + one.offset());
        }
        count = consumer.assignment().size();
      }
      consumer.commitSync();
      consumer.close();
    }

    void finish() throws Exception {
      stopping = true;
      join(30_000);
      expectEqual(isAlive(), false, "a member that stops is still there");
    }
  }

  private final String address;
  private final Admin admin;

  private GroupClient(String address) {
    this.address = address;
    this.admin = Admin.create(Map.of("bootstrap.servers", address));
  }

  private void produce(String topic, int first, int count) {
    try (KafkaProducer<String, String> producer = new KafkaProducer<>(
        Map.of("bootstrap.servers", address), new StringSerializer(), new StringSerializer())) {
      for (int n = first; n < first + count; ++n) {
        producer.send(new ProducerRecord<>(topic, n % PARTITIONS, null, "" + n));
      }
    }
  }

  private void share(String group) throws Exception {
    admin.createTopics(List.of(new NewTopic(group, PARTITIONS, (short) 1))).all().get();
    produce(group, 0, RECORDS);
    Member first = new Member(address, group, null);
    waitFor(() -> first.found.size() == RECORDS, "all records");
    Member second = new Member(address, group, "static-2");
    waitFor(() -> first.count == 2 && second.count == 2, "two each");
    produce(group, RECORDS, RECORDS);
    waitFor(() -> {
      Set<String> both = new HashSet<>(first.found);
      both.addAll(second.found);
      return both.size() == 2 * RECORDS;
    }, "all records of both");
    var told = admin.describeConsumerGroups(List.of(group)).all().get().get(group);
    expectEqual(told.groupState(), GroupState.STABLE, "state");
    expectEqual(told.members().size(), 2, "members");
    first.finish();
    waitFor(() -> second.count == PARTITIONS, "all for who stays");
    second.finish();
    produce(group, 2 * RECORDS, 4);
    Member third = new Member(address, group, "static-2");
    waitFor(() -> third.found.size() >= 4, "what came since the commit");
    third.finish();
    expectEqual(third.found, Set.of("0:200", "1:200", "2:200", "3:200"), "only what came since");
  }

  private void administer(String group) throws Exception {
    waitFor(() -> state(group) == GroupState.EMPTY, "the static member's session ends");
    expectEqual(admin.listGroups().all().get().stream().anyMatch(g -> g.groupId().equals(group)),
        true, "the group is listed");
    TopicPartition place = new TopicPartition(group, 0);
    expectEqual(offset(group, place), 201L, "committed");
    admin.alterConsumerGroupOffsets(group, Map.of(place, new OffsetAndMetadata(7, "why"))).all()
        .get();
    expectEqual(offset(group, place), 7L, "changed");
    admin.deleteConsumerGroupOffsets(group, Set.of(place)).all().get();
    expectEqual(offset(group, place), null, "deleted");
    admin.deleteConsumerGroups(List.of(group)).all().get();
    expectEqual(admin.listGroups().all().get().stream().anyMatch(g -> g.groupId().equals(group)),
        false, "the group is gone");
  }

  private GroupState state(String group) {
    try {
      return admin.describeConsumerGroups(List.of(group)).all().get().get(group).groupState();
    } catch (Exception error) {
      throw new IllegalStateException(error);
    }
  }

  private Long offset(String group, TopicPartition place) throws Exception {
    OffsetAndMetadata told = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata()
        .get().get(place);
    return told == null ? null : told.offset();
  }

  private String version() {
    return admin.metrics().values().stream()
        .filter(m -> m.metricName().group().equals("app-info")
            && m.metricName().name().equals("version"))
        .map(m -> m.metricValue().toString()).findFirst().orElse("of unknown version");
  }

  public static void main(String[] arguments) throws Exception {
    GroupClient client = new GroupClient(arguments[0]);
    System.out.println("kafka-clients " + client.version());
    for (String group : new ArrayList<>(STRATEGIES.keySet())) {
      client.share(group);
      client.administer(group);
    }
    System.out.println("OK");
    System.exit(0);
  }
}
