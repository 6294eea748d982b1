#include "base/assert.h"

#include <gtest/gtest.h>

TEST(AssertDeathTest, NamesTheConditionAndThePlace) {
  EXPECT_DEATH(TR_ASSERT(1 == 2), "1 == 2.*assert_test.cc");
}
