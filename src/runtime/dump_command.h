// `tailrace dump`: the files of a stopped broker's data directory in words, and what is wrong with
// damaged ones. Reads only; takes no lock, so that it also works on a copy.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace tailrace::runtime {

struct DumpRequest {
  std::string path;           // a data directory, one file in it, or a copy of one
  bool with_records = false;  // also each record batch, frame and index entry
};

using LineSink = std::function<void(std::string_view line)>;

// False when something is damaged or cannot be read.
bool dump_files(const DumpRequest& request, const LineSink& sink);

// The same, to standard output.
bool dump_files(const DumpRequest& request);

}  // namespace tailrace::runtime
