// A control plane on a FakeDisk with cores that only adopt images and keep replies: request bytes
// in, reply bytes out.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "../../support/fake_disk.h"
#include "control/control_plane.h"
#include "kafka/wire.h"

namespace tailrace::control {

struct Sent {
  bus::ControlRequest request;
  std::vector<std::byte> body;
  bool answered = false;
};

class ControlNode {
 public:
  static NodeSetup default_setup() {
    return {.node_id = 1, .core_count = 2, .endpoints = {{"localhost", 9092}}, .rack = {},
            .cluster_id = {}};
  }

  explicit ControlNode(test::FakeDisk& disk, const Limits& limits = {},
                       const NodeSetup& setup = default_setup(), std::uint64_t seed = 1)
      : disk_(disk), plane_(std::make_unique<ControlPlane>(limits, setup, Prng(seed))) {}

  ControlPlane& plane() { return *plane_; }
  const bus::MetadataImage& image() const { return plane_->image(); }

  // One turn: step, operations to the disk, messages to the cores.
  void turn() {
    plane_->step(now);
    plane_->ops_taken(disk_.submit(plane_->ops()));
    take_messages();
  }
  // Turns until nothing is under way.
  void run() {
    for (turn(); !held && disk_.waiting_count() > 0; turn()) {
      plane_->on_disk_done(disk_.complete(0), now);
    }
  }
  // The same, but at most so many operations are completed. True when nothing was left to do.
  bool run_ops(std::size_t count) {
    for (turn(); disk_.waiting_count() > 0; turn()) {
      if (count-- == 0) return false;
      plane_->on_disk_done(disk_.complete(0), now);
    }
    return true;
  }

  template <class Request>
  std::shared_ptr<Sent> send(const Request& request, std::int16_t version, bus::CoreId core = 0) {
    auto sent = std::make_shared<Sent>();
    kafka::Writer size = kafka::Writer::counter();
    request.encode(size, version);
    sent->body.resize(size.size());
    kafka::Writer out(sent->body);
    request.encode(out, version);
    return send_raw(std::move(sent), Request::api_key, version, core);
  }
  std::shared_ptr<Sent> send_raw(std::shared_ptr<Sent> sent, std::int16_t api_key,
                                 std::int16_t version, bus::CoreId core = 0) {
    sent->request = {.core = core, .api_key = api_key, .api_version = version,
                     .body = sent->body};
    sent_.push_back(sent);
    plane_->on_message({.kind = bus::MessageKind::control_request, .from = core,
                        .object = &sent->request}, now);
    return sent;
  }
  // Reads the answer; its strings live as long as the node.
  template <class Response>
  Response response(const Sent& sent) {
    EXPECT_TRUE(sent.answered);
    EXPECT_FALSE(sent.request.close_connection);
    kafka::Reader in(sent.request.reply);
    const Result<Response> decoded = Response::decode(in, sent.request.api_version, arena_);
    EXPECT_TRUE(decoded.has_value());
    EXPECT_TRUE(in.rest().empty());
    return decoded ? *decoded : Response{};
  }
  // Sends, runs, reads.
  template <class Response, class Request>
  Response ask(const Request& request, std::int16_t version) {
    const std::shared_ptr<Sent> sent = send(request, version);
    run();
    return response<Response>(*sent);
  }

  void release(const std::shared_ptr<Sent>& sent) {
    plane_->on_message({.kind = bus::MessageKind::reply_released, .from = sent->request.core,
                        .object = &sent->request}, now);
    turn();
  }
  void adopt(bus::CoreId core, std::uint64_t version) {
    plane_->on_message({.kind = bus::MessageKind::image_adopted, .from = core, .word = version},
                       now);
  }

  Now now{.instant = {1'000'000'000}, .wall_ms = 1'700'000'000'000};
  bool held = false;         // run() completes no operations
  bool adopts = true;        // cores adopt images at once
  std::size_t gone_count = 0;
  std::deque<std::pair<bus::CoreId, bus::LogTask*>> log_tasks;  // lent to cores
  // Core 0's image when the newest reply came, or null.
  const bus::MetadataImage* image_at_reply = nullptr;

 private:
  void take_messages() {
    // Adoption sends nothing, but keep the order of a real mailbox: first read, then act.
    const std::vector<bus::Outgoing> messages(plane_->messages().begin(),
                                              plane_->messages().end());
    plane_->messages_taken(messages.size());
    for (const bus::Outgoing& outgoing : messages) take(outgoing);
  }
  void take(const bus::Outgoing& outgoing) {
    const bus::Message& message = outgoing.message;
    EXPECT_EQ(message.from, bus::control_core);
    if (message.kind == bus::MessageKind::image_published) {
      const auto* image = static_cast<const bus::MetadataImage*>(message.object);
      EXPECT_EQ(image->version, message.word);
      if (outgoing.to == 0) shown_ = image;
      if (adopts) adopt(outgoing.to, message.word);
      return;
    }
    if (message.kind == bus::MessageKind::log_task) {
      log_tasks.emplace_back(outgoing.to, static_cast<bus::LogTask*>(message.object));
      return;
    }
    if (message.kind == bus::MessageKind::reply_gone) {
      ++gone_count;
      return;
    }
    ASSERT_EQ(message.kind, bus::MessageKind::control_reply);
    for (const std::shared_ptr<Sent>& sent : sent_) {
      if (&sent->request != message.object) continue;
      EXPECT_FALSE(sent->answered) << "answered twice";
      EXPECT_EQ(sent->request.core, outgoing.to);
      sent->answered = true;
      image_at_reply = shown_;
    }
  }

  test::FakeDisk& disk_;
  std::unique_ptr<ControlPlane> plane_;
  std::vector<std::shared_ptr<Sent>> sent_;
  const bus::MetadataImage* shown_ = nullptr;
  Arena arena_{4U << 20};
};

}  // namespace tailrace::control
