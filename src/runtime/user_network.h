// The network of a node that does its own TCP/IP: what the profile says of it, checked.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "io/dpdk/dpdk_network.h"
#include "io/steering/handover.h"
#include "net/interface.h"
#include "net/limits.h"
#include "runtime/endpoints.h"
#include "runtime/profile.h"

namespace tailrace::runtime {

inline bool has_user_network(const Profile& profile) { return profile.transport != "uring"; }

struct UserNetwork {
  net::Interface interface;           // mtu and segmentation are the device's to say
  std::vector<net::Endpoint> listen;
};
// Only where has_user_network(). False: `why` says what is wrong and what to do: addresses that
// this machine's kernel has, a --listen that is none of ours, ...
bool read_user_network(const Profile& profile, const Endpoints& endpoints, UserNetwork& network,
                       std::string& why);

// Only for transport = "dpdk". Null: `why` says it.
std::unique_ptr<io::DpdkNetwork> open_dpdk(const Profile& profile, std::string& why);

net::Limits net_limits(const Profile& profile);
// Buffers for received frames of one core's queue, each for one of up to 64 KiB.
std::uint32_t receive_frames(const Profile& profile);
// What several cores with a queue each share; null where one core, or the kernel, does it all.
// `frames_max`: of one queue.
std::unique_ptr<io::Handover> make_handover(const Profile& profile, std::uint32_t frames_max);

}  // namespace tailrace::runtime
