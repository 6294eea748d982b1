// A response with the time for which a quota makes its client wait, where the response has one.
#pragma once

#include <algorithm>
#include <cstdint>

namespace tailrace::kafka {

template <class Response>
Response with_throttle(Response response, std::uint32_t throttle_ms) {
  if constexpr (requires { response.throttle_time_ms; }) {
    response.throttle_time_ms =
        std::max(response.throttle_time_ms, static_cast<std::int32_t>(throttle_ms));
  }
  return response;
}

}  // namespace tailrace::kafka
