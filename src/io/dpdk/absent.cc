// A build without DPDK has this instead.
#include "io/dpdk/dpdk_network.h"

namespace tailrace::io {

struct DpdkNetwork::State {};

std::unique_ptr<DpdkNetwork> DpdkNetwork::create(const DpdkOptions&, std::string& why) {
  why = "this program was built without DPDK: `tools/dev setup` installs it (libdpdk-dev), then "
        "build again";
  return nullptr;
}

DpdkNetwork::DpdkNetwork(std::unique_ptr<State> state) : state_(std::move(state)) {}
DpdkNetwork::~DpdkNetwork() = default;
MutableBytes DpdkNetwork::allocate(std::size_t) { return {}; }
std::unique_ptr<PacketDevice> DpdkNetwork::open(std::uint16_t, Ring&) { return nullptr; }
std::uint32_t DpdkNetwork::frames_max() const { return 0; }
std::string DpdkNetwork::description() const { return {}; }

}  // namespace tailrace::io
