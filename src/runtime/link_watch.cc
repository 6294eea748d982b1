#include "runtime/link_watch.h"

#include "base/log.h"

namespace tailrace::runtime {

void LinkWatch::look(io::Link link) {
  const bool is_up = link == io::Link::up;
  if (is_up == this->is_up()) return;
  is_up_.store(is_up, std::memory_order_relaxed);
  if (is_up) {
    log_event(LogLevel::warn, "network", "{}: the link is up again", device_);
    return;
  }
  losses_.add();
  log_event(LogLevel::warn, "network", "{}: the link is down, and nothing comes or goes{}", device_,
            link == io::Link::switched_off
                ? ": the interface is switched off: `ip link set INTERFACE up`, and on a tap "
                  "device `ip address add` one of the node's network for this machine"
                : " until it is back");
}

}  // namespace tailrace::runtime
