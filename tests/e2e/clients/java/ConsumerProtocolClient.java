// Apache Kafka's own Java client by the consumer protocol (KIP-848): members share and leave under
// each assignor, a static one comes back, a pattern finds a new topic, and a live group of the
// classic protocol moves to this one and back. ConsumerProtocolClient ADDRESS.
import java.time.Duration;
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
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.GroupType;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public final class ConsumerProtocolClient {
  private static final int PARTITIONS = 4;
  private static final int RECORDS = 400;

  private static void expectEqual(Object found, Object wanted, String what) {
    if (Objects.equals(found, wanted)) return;
    System.out.println(what + ": found " + found + ", wanted " + wanted);
    System.exit(1);
  }

  private static void waitFor(BooleanSupplier done, String what) throws Exception {
    long end = System.nanoTime() + 90_000_000_000L;
    while (!done.getAsBoolean()) {
      expectEqual(System.nanoTime() < end, true, "in time: " + what);
      Thread.sleep(50);
    }
  }

  // A member polls on a thread of its own; what it read it commits before it gives it up.
  private static final class Member extends Thread {
    final Set<String> found = ConcurrentHashMap.newKeySet();
    volatile int count;
    volatile boolean stopping;
    volatile Exception failure;
    private final KafkaConsumer<String, String> consumer;

    Member(String address, String group, Map<String, Object> more, SubscriptionPattern pattern) {
      Map<String, Object> settings = new HashMap<>(Map.of("bootstrap.servers", address,
          "group.id", group, "auto.offset.reset", "earliest", "enable.auto.commit", false));
      settings.putAll(more);
      consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
      ConsumerRebalanceListener listener = new ConsumerRebalanceListener() {
        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> taken) {}

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> given) {
          consumer.commitSync();
        }
      };
      if (pattern != null) consumer.subscribe(pattern, listener);
      else consumer.subscribe(List.of(group), listener);
      setDaemon(true);
      start();
    }

    @Override
    public void run() {
      try {
        while (!stopping) {
          for (ConsumerRecord<String, String> one : consumer.poll(Duration.ofMillis(100))) {
            found.add(one.topic() + "-" + one.partition() + ":" + one.offset());
          }
          count = consumer.assignment().size();
        }
        consumer.commitSync();
        consumer.close();
      } catch (Exception error) {
        failure = error;
      }
    }

    void finish() throws Exception {
      stopping = true;
      join(60_000);
      expectEqual(failure, null, "a failure of a member");
      expectEqual(isAlive(), false, "a member that stops is still there");
    }
  }

  private final String address;
  private final Admin admin;

  private ConsumerProtocolClient(String address) {
    this.address = address;
    this.admin = Admin.create(Map.of("bootstrap.servers", address));
  }

  private Member consumer(String group, String... more) {
    Map<String, Object> settings = new HashMap<>(Map.of("group.protocol", "consumer"));
    for (int i = 0; i + 1 < more.length; i += 2) settings.put(more[i], more[i + 1]);
    return new Member(address, group, settings, null);
  }

  private Member classic(String group) {
    return new Member(address, group, Map.of("group.protocol", "classic", "session.timeout.ms",
        10000, "heartbeat.interval.ms", 1000, "partition.assignment.strategy",
        "org.apache.kafka.clients.consumer.CooperativeStickyAssignor"), null);
  }

  private void produce(String topic, int first, int count) {
    try (KafkaProducer<String, String> producer = new KafkaProducer<>(
        Map.of("bootstrap.servers", address), new StringSerializer(), new StringSerializer())) {
      for (int n = first; n < first + count; ++n) {
        producer.send(new ProducerRecord<>(topic, n % PARTITIONS, null, "" + n));
      }
    }
  }

  private void create(String topic) throws Exception {
    admin.createTopics(List.of(new NewTopic(topic, PARTITIONS, (short) 1))).all().get();
  }

  private ConsumerGroupDescription described(String group) throws Exception {
    return admin.describeConsumerGroups(List.of(group)).all().get().get(group);
  }

  private static int read(Member... members) {
    Set<String> all = new HashSet<>();
    for (Member one : members) all.addAll(one.found);
    return all.size();
  }

  private void share(String assignor) throws Exception {
    String group = "java-848-" + assignor;
    create(group);
    produce(group, 0, RECORDS);
    Member first = consumer(group, "group.remote.assignor", assignor);
    waitFor(() -> first.found.size() == RECORDS, "all records");
    Member second = consumer(group, "group.remote.assignor", assignor);
    waitFor(() -> first.count == 2 && second.count == 2, "two each");
    produce(group, RECORDS, RECORDS);
    waitFor(() -> read(first, second) == 2 * RECORDS, "all records of both");
    ConsumerGroupDescription told = described(group);
    expectEqual(told.type(), GroupType.CONSUMER, "type");
    expectEqual(told.groupState(), GroupState.STABLE, "state");
    expectEqual(told.partitionAssignor(), assignor, "assignor");
    expectEqual(told.members().size(), 2, "members");
    first.finish();
    waitFor(() -> second.count == PARTITIONS, "all for who stays");
    admin.createPartitions(Map.of(group, NewPartitions.increaseTo(PARTITIONS + 1))).all().get();
    waitFor(() -> second.count == PARTITIONS + 1, "the new partition");
    second.finish();
    produce(group, 2 * RECORDS, 4);
    Member third = consumer(group);
    waitFor(() -> third.found.size() >= 4, "what came since the commit");
    third.finish();
    expectEqual(third.found, Set.of(group + "-0:200", group + "-1:200", group + "-2:200",
        group + "-3:200"), "only what came since");
    expectEqual(described(group).groupState(), GroupState.EMPTY, "state of an empty group");
    admin.deleteConsumerGroups(List.of(group)).all().get();
  }

  private void comeBack() throws Exception {
    String group = "java-848-static";
    create(group);
    produce(group, 0, RECORDS);
    Member first = consumer(group, "group.instance.id", "one");
    Member second = consumer(group, "group.instance.id", "two");
    waitFor(() -> first.count == 2 && second.count == 2, "two each");
    int epoch = described(group).groupEpoch().get();
    second.finish();
    Thread.sleep(1000);
    expectEqual(first.count, 2, "partitions of who stays while the other is away");
    Member again = consumer(group, "group.instance.id", "two");
    waitFor(() -> again.count == 2, "what it had");
    expectEqual(described(group).groupEpoch().get(), epoch, "the epoch stays");
    again.finish();
    first.finish();
  }

  private void pattern() throws Exception {
    Member member = new Member(address, "java-848-pattern", Map.of("group.protocol", "consumer"),
        new SubscriptionPattern("java-later-.*"));
    Thread.sleep(1000);
    create("java-later-1");
    produce("java-later-1", 0, 40);
    waitFor(() -> member.found.size() == 40, "records of the new topic");
    member.finish();
  }

  // A rolling change of all members, there and back; every record is read by somebody.
  private void move() throws Exception {
    String group = "java-848-move";
    create(group);
    produce(group, 0, RECORDS);
    Member old1 = classic(group);
    Member old2 = classic(group);
    waitFor(() -> old1.count == 2 && old2.count == 2, "two each");
    Member new1 = consumer(group);
    waitFor(() -> old1.count + old2.count + new1.count == PARTITIONS && new1.count >= 1,
        "the new one has its share");
    expectEqual(described(group).type(), GroupType.CONSUMER, "type with both");
    produce(group, RECORDS, RECORDS);
    waitFor(() -> read(old1, old2, new1) == 2 * RECORDS, "all records of all three");
    old1.finish();
    Member new2 = consumer(group);
    old2.finish();
    waitFor(() -> new1.count == 2 && new2.count == 2, "two each of the new kind");
    Member back = classic(group);
    waitFor(() -> new1.count + new2.count + back.count == PARTITIONS && back.count >= 1,
        "an old one has its share");
    new1.finish();
    new2.finish();
    waitFor(() -> back.count == PARTITIONS, "all for the old one");
    expectEqual(described(group).type(), GroupType.CLASSIC, "type at the end");
    produce(group, 2 * RECORDS, RECORDS);
    waitFor(() -> read(old1, old2, new1, new2, back) == 3 * RECORDS, "all records");
    back.finish();
  }

  private String version() {
    return admin.metrics().values().stream()
        .filter(m -> m.metricName().group().equals("app-info")
            && m.metricName().name().equals("version"))
        .map(m -> m.metricValue().toString()).findFirst().orElse("of unknown version");
  }

  public static void main(String[] arguments) throws Exception {
    ConsumerProtocolClient client = new ConsumerProtocolClient(arguments[0]);
    System.out.println("kafka-clients " + client.version());
    for (String assignor : List.of("uniform", "range")) client.share(assignor);
    client.comeBack();
    client.pattern();
    client.move();
    System.out.println("OK");
    System.exit(0);
  }
}
