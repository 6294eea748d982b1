// The version of the program and of the embedding API.
#pragma once

namespace tailrace {

inline constexpr const char* version = "0.1.0";

}  // namespace tailrace
