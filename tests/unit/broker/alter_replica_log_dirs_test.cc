// Stories of AlterReplicaLogDirs.
#include "kafka/gen/alter_replica_log_dirs.h"
#include "tests/unit/broker/stories.h"

namespace tailrace::broker {
namespace {

class Moves : public ClusterStory {
 protected:
  std::int16_t move(std::string_view path, std::string_view topic, std::int32_t partition,
                    std::int16_t version = 2) {
    using Asked = kafka::AlterReplicaLogDirsRequest;
    Asked::AlterReplicaLogDir::AlterReplicaLogDirTopic asked{topic, {&partition, 1}};
    Asked::AlterReplicaLogDir dir{path, {&asked, 1}};
    const auto answer = client->call<kafka::AlterReplicaLogDirsResponse>(
        Asked{.dirs = {&dir, 1}}, version);
    EXPECT_EQ(answer->results[0].topic_name, topic);
    EXPECT_EQ(answer->results[0].partitions[0].partition_index, partition);
    return answer->results[0].partitions[0].error_code;
  }
};

TEST_F(Moves, AReplicaIsWhereItIsToGo) {
  EXPECT_EQ(move("/data", "orders", 1), 0);
  EXPECT_EQ(move("/data", "orders", 1, 1), 0);
}

TEST_F(Moves, OtherDirectoriesAndReplicasAreNotThere) {
  EXPECT_EQ(move("/elsewhere", "orders", 1), 57);
  EXPECT_EQ(move("/data", "orders", 2), 9);
  EXPECT_EQ(move("/data", "orders", -1), 9);
  EXPECT_EQ(move("/data", "nowhere", 0), 9);
  node.images.change_topic("orders").partitions[0].replicas = {2};
  node.publish();
  EXPECT_EQ(move("/data", "orders", 0), 9) << "another node's";
}

}  // namespace
}  // namespace tailrace::broker
