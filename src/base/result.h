// Result<T>: a value or an Error, for everything the world can do wrong. The only file that
// names tl::expected.
#pragma once

#include <tl/expected.hpp>

#include "base/error.h"

namespace tailrace {

template <class T>
using Result = tl::expected<T, Error>;

// `return fail(Errc::full);` works in any function that returns a Result.
inline tl::unexpected<Error> fail(Errc code, std::uint16_t detail = 0) {
  return tl::unexpected<Error>(Error{code, detail});
}
inline tl::unexpected<Error> fail(Error error) { return tl::unexpected<Error>(error); }

}  // namespace tailrace
