// A member polls on a thread of its own, and commits before somebody else reads on.
package matrix;

import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentSkipListSet;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;

final class Member extends Thread {
  final Set<String> found = new ConcurrentSkipListSet<>();
  volatile int count;
  volatile boolean stopping;
  volatile Exception failed;
  private final KafkaConsumer<byte[], byte[]> consumer;

  Member(Cluster cluster, String topic, String kind, String instance) {
    var all = cluster.settings("group.id", topic);
    if (kind.equals("kip848")) {
      all.put("group.protocol", "consumer");
    } else {
      all.putAll(Map.of("group.protocol", "classic", "session.timeout.ms", 6000,
          "heartbeat.interval.ms", 1000, "partition.assignment.strategy",
          "org.apache.kafka.clients.consumer." + (kind.equals("cooperative")
              ? "CooperativeStickyAssignor" : "RangeAssignor")));
    }
    if (instance != null) all.put("group.instance.id", instance);
    consumer = cluster.consumer(all);
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
