// The admin server: metrics and status over HTTP, on an address of its own so that scraping never
// competes with clients. libmicrohttpd runs it on one thread that sleeps unless asked; it reads
// only counters that are safe from any thread, and asks a core for what is not. A second thread
// sleeps until a page without a known end is read, and then looks for more of it.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "runtime/address.h"

namespace tailrace::runtime {

// A word of a request's query by its name; null when it has none.
using AdminQuery = std::function<const char*(const char*)>;

// A page that is made while it is read, on the admin thread.
class AdminStream {
 public:
  virtual ~AdminStream() = default;
  // Fills `to` from the front. 0: there is nothing now.
  virtual std::size_t read(std::span<char> to) = 0;
  // Nothing will come any more.
  virtual bool has_ended() const = 0;
  // The reader wants no more, or cannot have it: the page comes to its end soon.
  virtual void finish() = 0;
};

struct AdminRefusal {
  unsigned status = 0;   // of HTTP
  std::string text;
};

class Admin {
 public:
  // Texts are made anew for every request, on the admin thread.
  struct Pages {
    std::function<std::string()> metrics;  // GET /metrics, Prometheus text format
    std::function<std::string()> status;   // GET /status, lines for a person
    std::function<std::string()> net;      // GET /net, the connections of our own TCP/IP
    // GET /capture, frames in pcapng. Null: `refusal` says why there is none.
    std::function<std::unique_ptr<AdminStream>(const AdminQuery&, AdminRefusal& refusal)> capture;
  };

  // The host is numeric. Null, and `why` set, when it cannot be bound.
  static std::unique_ptr<Admin> listen(const HostPort& address, Pages pages, std::string& why);
  ~Admin();

  std::uint16_t port() const;
  const Pages& pages() const { return pages_; }

 private:
  Admin() = default;
  Pages pages_;
  struct Daemon;
  std::unique_ptr<Daemon> daemon_;
};

// A connection to the admin server at `address` with GET `path` under way, whose answer is for the
// caller to read; a read gives up after `patience_seconds` (0: never). -1: `why` says it.
int admin_open(const std::string& address, const std::string& path, int patience_seconds,
               std::string& why);
// Whether this is how an admin server's answer begins, and what its status is.
bool admin_status(std::string_view reply, unsigned& status);
std::string admin_is_none(const std::string& address);

// GET http://`address``path`. False, and `text` says why, when nobody answers.
bool admin_get(const std::string& address, const std::string& path, std::string& text);

}  // namespace tailrace::runtime
