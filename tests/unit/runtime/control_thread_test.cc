#include "runtime/control_thread.h"

#include <gtest/gtest.h>

#include "bus/image.h"
#include "support/fake_disk.h"

namespace tailrace::runtime {
namespace {

struct Rig {
  explicit Rig(std::size_t mailbox_messages = 64) : exchange(2, mailbox_messages) {}
  void turn() {
    now.instant = now.instant + milliseconds(1);
    thread.run_once(now);
  }
  std::size_t take_images(bus::CoreId core) {
    std::vector<bus::Message> messages(exchange.batch_messages(1));
    std::size_t images = 0;
    while (const std::size_t count = exchange.receive(core, messages)) {
      for (std::size_t i = 0; i < count; ++i) {
        images += messages[i].kind == bus::MessageKind::image_published;
      }
    }
    return images;
  }
  test::FakeDisk disk;
  Exchange exchange;
  control::ControlPlane plane{{},
                              {.node_id = 1, .core_count = 2, .endpoints = {{"127.0.0.1", 9092}}},
                              Prng(1, "control")};
  ControlThread thread{plane, disk, exchange};
  Now now{.instant = {1'000'000'000}, .wall_ms = 1};
};

TEST(ControlThread, EveryCoreGetsTheFirstImage) {
  Rig rig;
  for (int i = 0; i < 1000 && !rig.plane.ready(); ++i) rig.turn();
  ASSERT_TRUE(rig.plane.ready()) << rig.plane.why();
  EXPECT_EQ(rig.take_images(0), 1u);
  EXPECT_EQ(rig.take_images(1), 1u);
}

TEST(ControlThread, AMessageForAFullMailboxIsOfferedAgain) {
  Rig rig(1);
  const bus::Outgoing filler{0, {.kind = bus::MessageKind::reply_gone}};
  ASSERT_TRUE(rig.exchange.send(bus::control_core, filler));
  for (int i = 0; i < 200; ++i) rig.turn();
  EXPECT_FALSE(rig.plane.messages().empty());
  EXPECT_LE(rig.thread.next_deadline(), rig.now.instant + milliseconds(1));
  EXPECT_EQ(rig.take_images(0), 0u);  // Takes the filler.
  rig.turn();
  EXPECT_EQ(rig.take_images(0), 1u);
}

}  // namespace
}  // namespace tailrace::runtime
