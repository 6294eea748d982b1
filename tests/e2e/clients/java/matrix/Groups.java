// Members that share, leave and come back; the group's administration.
package matrix;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.TopicPartition;

final class Groups {
  private final Cluster cluster;

  Groups(Cluster cluster) {
    this.cluster = cluster;
  }

  void resume(String topic) throws Exception {
    cluster.create(topic, Story.MEMBER_PARTITIONS, Map.of());
    int[][] steps = {{0, 200}, {200, 4}, {204, 0}, {204, 40}};
    for (int[] step : steps) {
      cluster.fill(topic, step[0], step[1]);
      Member member = new Member(cluster, topic, "group", null);
      Story.waitFor(() -> member.has(step[1]) && member.count == 4, "records from a commit on");
      Thread.sleep(300);
      member.finish();
      Set<String> wanted = new TreeSet<>();
      for (int n = step[0]; n < step[0] + step[1]; ++n) wanted.add(n % 4 + ":" + n / 4);
      Story.expectEqual(member.found, wanted, "records from a commit on");
    }
  }

  void share(String topic, String kind) throws Exception {
    cluster.create(topic, Story.MEMBER_PARTITIONS, Map.of());
    cluster.fill(topic, 0, 400);
    Member first = new Member(cluster, topic, kind, null);
    Story.waitFor(() -> first.has(400), "all records");
    Member second = new Member(cluster, topic, kind, "static-2");
    Story.waitFor(() -> second.has(0) && first.count == 2 && second.count == 2, "two each");
    cluster.fill(topic, 400, 400);
    Story.waitFor(() -> {
      Set<String> both = new TreeSet<>(first.found);
      both.addAll(second.found);
      return both.size() == 800;
    }, "all records of both");
    var told = cluster.admin.describeConsumerGroups(List.of(topic)).all().get().get(topic);
    Story.expectEqual(told.groupState(), GroupState.STABLE, "state");
    Story.expectEqual(told.members().size(), 2, "members");
    first.finish();
    Story.waitFor(() -> second.count == 4, "all for who stays");
    second.finish();
    cluster.fill(topic, 800, 4);
    Member third = new Member(cluster, topic, kind, "static-2");
    Story.waitFor(() -> third.has(4), "what came since");
    third.finish();
    Story.expectEqual(third.found, Set.of("0:200", "1:200", "2:200", "3:200"), "what came since");
  }

  private boolean listed(String group) throws Exception {
    return cluster.admin.listGroups().all().get().stream()
        .anyMatch(g -> g.groupId().equals(group));
  }

  void groupAdmin(String group) throws Exception {
    cluster.create(group, Story.MEMBER_PARTITIONS, Map.of());
    cluster.fill(group, 0, 80);
    Member member = new Member(cluster, group, "group", "static-1");
    Story.waitFor(() -> member.has(80), "all records");
    member.finish();
    Story.waitFor(() -> cluster.admin.describeConsumerGroups(List.of(group)).all().get().get(group)
        .groupState() == GroupState.EMPTY, "the static member's session ends");
    Story.expectEqual(listed(group), true, "the group is listed");
    TopicPartition place = new TopicPartition(group, 0);
    Story.expectEqual(cluster.committed(group, place), 20L, "committed");
    var change = Map.of(place, new OffsetAndMetadata(7, "why"));
    cluster.admin.alterConsumerGroupOffsets(group, change).all().get();
    Story.expectEqual(cluster.committed(group, place), 7L, "changed");
    cluster.admin.deleteConsumerGroupOffsets(group, Set.of(place)).all().get();
    Story.expectEqual(cluster.committed(group, place), null, "deleted");
    cluster.admin.deleteConsumerGroups(List.of(group)).all().get();
    Story.expectEqual(listed(group), false, "the group is gone");
  }
}
