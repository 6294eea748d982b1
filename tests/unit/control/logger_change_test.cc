#include "control/logger_change.h"

#include <gtest/gtest.h>

#include "kafka/gen/alter_configs.h"
#include "kafka/gen/incremental_alter_configs.h"
#include "topic_requests.h"

namespace tailrace::control {
namespace {

using Change = kafka::IncrementalAlterConfigsRequest::AlterConfigsResource::AlterableConfig;

class Loggers : public ::testing::Test {
 protected:
  Loggers() { set_log_level(LogLevel::info); }
  ~Loggers() override { set_log_level(LogLevel::info); }
  std::string change(Change change, std::string_view broker = "1", bool validate_only = false) {
    kafka::IncrementalAlterConfigsRequest request;
    kafka::IncrementalAlterConfigsRequest::AlterConfigsResource resource{8, broker, {&change, 1}};
    request.resources = std::span(&resource, 1);
    request.validate_only = validate_only;
    const auto response = up.node.ask<kafka::IncrementalAlterConfigsResponse>(request, 1);
    return told(response.responses[0].error_code, response.responses[0].error_message);
  }
  ReadyNode up;
};

TEST_F(Loggers, TheLevelOfTheLogIsSet) {
  EXPECT_EQ(change({"root", 0, "DEBUG"}, "1", true), "ok");
  EXPECT_FALSE(log_enabled(LogLevel::debug)) << "only checked";
  EXPECT_EQ(change({"root", 0, "TRACE"}), "ok");
  EXPECT_TRUE(log_enabled(LogLevel::debug));
  EXPECT_EQ(change({"root", 0, "FATAL"}), "ok");
  EXPECT_FALSE(log_enabled(LogLevel::warn));
  EXPECT_EQ(change({"root", 0, "WARN"}), "ok");
  EXPECT_TRUE(log_enabled(LogLevel::warn));
}

TEST_F(Loggers, WhatKafkaRefuses) {
  EXPECT_EQ(change({"kafka.server", 0, "DEBUG"}), "40: Logger kafka.server does not exist!");
  EXPECT_EQ(change({"root", 0, "LOUD"}).substr(0, 3), "40:");
  EXPECT_EQ(change({"root", 0, nullptr}).substr(0, 3), "40:");
  EXPECT_EQ(change({"root", 1, nullptr}),
            "42: Removing the log level of the root logger is not allowed");
  EXPECT_EQ(change({"root", 2, "DEBUG"}),
            "42: APPEND operation is not allowed for the BROKER_LOGGER resource");
  EXPECT_EQ(change({"root", 3, "DEBUG"}),
            "42: SUBTRACT operation is not allowed for the BROKER_LOGGER resource");
  EXPECT_EQ(change({"root", 0, "DEBUG"}, "2").substr(0, 3), "42:") << "another broker";
  EXPECT_EQ(change({"root", 0, "DEBUG"}, "").substr(0, 3), "42:") << "no broker";
  EXPECT_FALSE(log_enabled(LogLevel::debug));
}

TEST_F(Loggers, AreNotReplacedAsAWhole) {
  kafka::AlterConfigsRequest request;
  kafka::AlterConfigsRequest::AlterConfigsResource resource{.resource_type = 8,
                                                            .resource_name = "1"};
  request.resources = std::span(&resource, 1);
  EXPECT_EQ(up.node.ask<kafka::AlterConfigsResponse>(request, 2).responses[0].error_code, 42);
}

}  // namespace
}  // namespace tailrace::control
