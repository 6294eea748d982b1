// ImageBuilder: makes bus::MetadataImage from the cluster's state, shares the topics that did not
// change with older images, sends each image to every core, and frees it when all cores have
// moved on.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "bus/image.h"
#include "control/cluster_state.h"

namespace tailrace::control {

class ImageBuilder {
 public:
  ImageBuilder(bus::NodeId node_id, std::uint16_t core_count, std::uint32_t images_max);

  // False when too many images are in use: publish again after an adoption.
  bool can_publish() const { return images_.size() < images_max_; }
  // Appends one image_published per core to `messages`.
  void publish(const ClusterState& state, bus::NodeId controller,
               std::vector<bus::Outgoing>& messages);
  // `core` uses no image older than `version` any more.
  void on_adopted(bus::CoreId core, std::uint64_t version);

  // Null before the first publish.
  const bus::MetadataImage* newest() const {
    return images_.empty() ? nullptr : images_.back().get();
  }
  std::size_t image_count() const { return images_.size(); }

 private:
  struct Built {
    std::uint64_t revision = 0;
    std::shared_ptr<const bus::TopicImage> image;
  };
  std::shared_ptr<const bus::TopicImage> build(const Topic& topic) const;
  static std::shared_ptr<const bus::GroupConfigs> build(const GroupConfigMap& groups);
  std::unique_ptr<bus::MetadataImage> build(const ClusterState& state, bus::NodeId controller);

  bus::NodeId node_id_;
  std::uint16_t core_count_;
  std::uint32_t images_max_;
  std::map<Uuid, Built> built_;
  std::shared_ptr<const bus::ClientQuotas> quotas_;
  std::uint64_t quota_revision_ = 0;  // of quotas_
  std::shared_ptr<const bus::GroupConfigs> group_configs_;
  std::uint64_t group_revision_ = 0;  // of group_configs_
  std::deque<std::unique_ptr<bus::MetadataImage>> images_;  // by version
  std::vector<std::uint64_t> adopted_;                      // by core
  std::uint64_t version_ = 0;
};

}  // namespace tailrace::control
