#include "base/slab.h"

#include <gtest/gtest.h>

#include <string>

namespace tailrace {
namespace {

TEST(Slab, AStaleHandleFindsNothing) {
  Slab<std::string> slab(2);
  const Handle<std::string> first = slab.insert("first");
  slab.erase(first);
  const Handle<std::string> second = slab.insert("second");
  EXPECT_EQ(second.index, first.index);
  EXPECT_EQ(slab.find(first), nullptr);
  EXPECT_EQ(slab.at(second), "second");
  EXPECT_EQ(Handle<std::string>::unpacked(second.packed()), second);
}

TEST(Slab, RefusesWhenFull) {
  Slab<std::string> slab(1);
  const auto only = slab.insert("only");
  EXPECT_TRUE(slab.insert("more").is_null());
  slab.erase(only);
  EXPECT_FALSE(slab.insert("again").is_null());
}

}  // namespace
}  // namespace tailrace
