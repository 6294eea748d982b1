// The admin server: metrics and status over HTTP, on an address of its own so that scraping never
// competes with clients. libmicrohttpd runs it on one thread that sleeps unless asked; it reads
// only counters that are safe from any thread, and asks a core for what is not.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "runtime/address.h"

namespace tailrace::runtime {

class Admin {
 public:
  // Texts are made anew for every request, on the admin thread.
  struct Pages {
    std::function<std::string()> metrics;  // GET /metrics, Prometheus text format
    std::function<std::string()> status;   // GET /status, lines for a person
    std::function<std::string()> net;      // GET /net, the connections of our own TCP/IP
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

// GET http://`address``path`. False, and `text` says why, when nobody answers.
bool admin_get(const std::string& address, const std::string& path, std::string& text);

}  // namespace tailrace::runtime
