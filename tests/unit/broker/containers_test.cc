// The broker's small containers: IdTable, DeadlineHeap, List.
#include <gtest/gtest.h>

#include <map>

#include "base/prng.h"
#include "broker/deadline_heap.h"
#include "broker/id_table.h"
#include "broker/intrusive_list.h"

namespace tailrace::broker {
namespace {

struct Item {
  Instant deadline;
  std::uint32_t heap_index = no_deadline;
  Link<Item> link;
};

TEST(IdTable, AgreesWithAMapWhateverComesAndGoes) {
  Prng prng(3, "id_table");
  IdTable<Item> table(64);
  std::map<std::uint64_t, Handle<Item>> expected;
  for (int i = 0; i < 50'000; ++i) {
    const std::uint64_t id = prng.below(200) << 56;  // Many share a place.
    if (expected.contains(id)) {
      table.erase(id);
      expected.erase(id);
    } else if (expected.size() < 64) {
      expected[id] = {static_cast<std::uint32_t>(i), 1};
      table.insert(id, expected[id]);
    }
    const std::uint64_t probe = prng.below(200) << 56;
    const auto found = expected.find(probe);
    ASSERT_EQ(table.find(probe), found == expected.end() ? Handle<Item>{} : found->second);
  }
  EXPECT_EQ(table.size(), expected.size());
}

TEST(DeadlineHeap, GivesTheEarliestAndLetsAnyGo) {
  Prng prng(4, "deadline_heap");
  std::vector<Item> items(200);
  DeadlineHeap<Item> heap(items.size());
  EXPECT_EQ(heap.next_deadline(), never());
  for (int round = 0; round < 5'000; ++round) {
    Item& item = items[prng.below(items.size())];
    if (item.heap_index != no_deadline) {
      heap.remove(item);
    } else {
      item.deadline = {static_cast<std::int64_t>(prng.below(1000))};
      heap.insert(item);
    }
    Instant earliest = never();
    for (const Item& other : items) {
      if (other.heap_index != no_deadline) earliest = std::min(earliest, other.deadline);
    }
    ASSERT_EQ(heap.next_deadline(), earliest);
  }
}

TEST(List, KeepsOrderAndForgetsWhatIsRemoved) {
  List<Item, &Item::link> list;
  Item a;
  Item b;
  Item c;
  list.push_back(b);
  list.push_back(c);
  list.push_front(a);
  EXPECT_EQ(list.front(), &a);
  EXPECT_EQ(list.next(a), &b);
  list.remove(b);
  EXPECT_EQ(list.next(a), &c);
  EXPECT_FALSE(b.link.linked);
  EXPECT_EQ(list.pop_front(), &a);
  EXPECT_EQ(list.pop_front(), &c);
  EXPECT_TRUE(list.empty());
  EXPECT_EQ(list.back(), nullptr);
}

}  // namespace
}  // namespace tailrace::broker
