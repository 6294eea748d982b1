#include "control/image_builder.h"

#include <algorithm>
#include <utility>

#include "control/client_quotas.h"

namespace tailrace::control {

ImageBuilder::ImageBuilder(bus::NodeId node_id, std::uint16_t core_count,
                           std::uint32_t images_max)
    : node_id_(node_id), core_count_(core_count), images_max_(images_max),
      adopted_(core_count, 0) {
  TR_ASSERT(core_count > 0);
  // The newest is always in use, and a next one must be possible.
  TR_ASSERT(images_max >= 2);
}

void ImageBuilder::publish(const ClusterState& state, bus::NodeId controller,
                           std::vector<bus::Outgoing>& messages) {
  TR_ASSERT(can_publish());
  images_.push_back(build(state, controller));
  for (bus::CoreId core = 0; core < core_count_; ++core) {
    // Cores only read it; the message has one pointer type for all kinds.
    auto* object = const_cast<bus::MetadataImage*>(images_.back().get());
    messages.push_back({core, {.kind = bus::MessageKind::image_published,
                               .from = bus::control_core,
                               .image_version = version_,
                               .object = object,
                               .word = version_}});
  }
}

void ImageBuilder::on_adopted(bus::CoreId core, std::uint64_t version) {
  TR_ASSERT(core < core_count_);
  TR_ASSERT(version <= version_);
  adopted_[core] = std::max(adopted_[core], version);
  const std::uint64_t oldest = *std::min_element(adopted_.begin(), adopted_.end());
  while (!images_.empty() && images_.front()->version < oldest) images_.pop_front();
}

std::unique_ptr<bus::MetadataImage> ImageBuilder::build(const ClusterState& state,
                                                        bus::NodeId controller) {
  auto image = std::make_unique<bus::MetadataImage>();
  image->version = ++version_;
  image->cluster_id = state.cluster_id();
  image->node_id = node_id_;
  image->controller_id = controller;
  for (const auto& [id, node] : state.nodes()) {
    bus::NodeImage& to = image->nodes.emplace_back();
    to.id = id;
    to.rack = node.rack;
    for (const EndpointRecord& endpoint : node.endpoints) {
      to.endpoints.push_back({endpoint.host, endpoint.port});
    }
  }
  std::map<Uuid, Built> kept;
  for (const auto& [name, topic] : state.topics()) {
    Built built = std::exchange(built_[topic.id], {});
    if (built.revision != topic.revision) built = {topic.revision, build(topic)};
    image->topics.push_back(built.image);
    image->topics_by_id[topic.id] = built.image.get();
    image->topics_by_name[built.image->name] = built.image.get();
    kept[topic.id] = std::move(built);
  }
  built_ = std::move(kept);
  for (const auto& [name, value] : state.broker_configs(node_id_)) {
    image->broker_configs.push_back({name, value});
  }
  for (const auto& [name, value] : state.broker_configs(-1)) {
    image->broker_defaults.push_back({name, value});
  }
  if (quota_revision_ != state.quota_revision()) {
    quota_revision_ = state.quota_revision();
    quotas_ = state.quotas().empty()
                  ? nullptr
                  : std::make_shared<const bus::ClientQuotas>(client_quotas(state.quotas()));
  }
  image->quotas = quotas_;
  if (group_revision_ != state.group_revision()) {
    group_revision_ = state.group_revision();
    group_configs_ = build(state.group_configs());
  }
  image->group_configs = group_configs_;
  return image;
}

std::shared_ptr<const bus::GroupConfigs> ImageBuilder::build(const GroupConfigMap& groups) {
  if (groups.empty()) return nullptr;
  auto all = std::make_shared<bus::GroupConfigs>();
  for (const auto& [group, configs] : groups) {
    for (const auto& [name, value] : configs) (*all)[group].push_back({name, value});
  }
  return all;
}

std::shared_ptr<const bus::TopicImage> ImageBuilder::build(const Topic& topic) const {
  auto image = std::make_shared<bus::TopicImage>();
  image->name = topic.name;
  image->id = topic.id;
  image->is_internal = topic.is_internal;
  for (std::size_t i = 0; i < topic.partitions.size(); ++i) {
    const PartitionRecord& from = topic.partitions[i];
    bus::PartitionImage& to = image->partitions.emplace_back();
    to.index = static_cast<std::int32_t>(i);
    to.leader = from.leader;
    to.leader_epoch = from.leader_epoch;
    to.incarnation = from.incarnation;
    to.replicas = from.replicas;
    to.isr = from.isr;
    const bool local =
        std::find(from.replicas.begin(), from.replicas.end(), node_id_) != from.replicas.end();
    if (local) to.owner = bus::owner_core(topic.id, to.index, core_count_);
  }
  for (const auto& [name, value] : topic.configs) image->configs.push_back({name, value});
  return image;
}

}  // namespace tailrace::control
