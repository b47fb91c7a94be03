// Copyright 2026 dynamic_dnn_ros contributors
// SPDX-License-Identifier: Apache-2.0
//
// Asks for fast answers while the robot docks, and withdraws that again: examples/set_target.py in C++.
//
//     ros2 run dynamic_dnn_ros_example set_target /inference_node

#include "dynamic_dnn_ros/srv/set_target.hpp"

#include <chrono>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>

#include "dynamic_dnn_ros/srv/ask_target.hpp"
#include "dynamic_dnn_ros/srv/clear_target.hpp"
#include "rclcpp/rclcpp.hpp"

using dynamic_dnn_ros::srv::AskTarget;
using dynamic_dnn_ros::srv::ClearTarget;
using dynamic_dnn_ros::srv::SetTarget;

namespace
{

constexpr auto kTimeout = std::chrono::seconds(10);
constexpr char kNamespace[] = "/dynamic_dnn/";

/// Call a service of the manager. Throws std::runtime_error where nobody answers, or the answer is no.
template <typename Service>
typename Service::Response::SharedPtr call(
  const rclcpp::Node::SharedPtr & node, const std::string & name,
  const typename Service::Request::SharedPtr & request)
{
  const auto client = node->create_client<Service>(kNamespace + name);
  if (!client->wait_for_service(kTimeout)) {
    throw std::runtime_error(
      "there is no service " + (kNamespace + name) + ": is the manager active?");
  }
  auto future = client->async_send_request(request);
  if (
    rclcpp::spin_until_future_complete(node, future, kTimeout) !=
    rclcpp::FutureReturnCode::SUCCESS) {
    throw std::runtime_error(kNamespace + name + " did not answer within 10 s");
  }
  const auto response = future.get();
  if (!response->accepted) {
    throw std::runtime_error(response->message);
  }
  return response;
}

/// Return a target: answers within 50 ms, as accurate as that allows.
template <typename Service>
typename Service::Request::SharedPtr docking(const std::string & application)
{
  auto request = std::make_shared<typename Service::Request>();
  request->application = application;
  request->sender = "docking";
  request->latency = 0.05;
  request->objective = Service::Request::OBJECTIVE_MAXIMUM_ACCURACY;
  return request;
}

void dock(const rclcpp::Node::SharedPtr & node, const std::string & application)
{
  const auto answer = call<AskTarget>(node, "ask_target", docking<AskTarget>(application));
  std::printf("before: %s\n", answer->message.c_str());
  if (answer->expected == AskTarget::Response::EXPECTED_MISSED) {
    std::printf("the robot docks more slowly\n");
  }
  const auto set = call<SetTarget>(node, "set_target", docking<SetTarget>(application));
  const auto & decision = set->status.decision;
  std::printf("docking with %s on %s\n", decision.sub_network.c_str(), decision.processor.c_str());

  auto request = std::make_shared<ClearTarget::Request>();
  request->application = application;
  request->sender = "docking";
  call<ClearTarget>(node, "clear_target", request);
  std::printf("the target is withdrawn\n");
}

}  // namespace

int main(int argc, char ** argv)
{
  const auto arguments = rclcpp::init_and_remove_ros_arguments(argc, argv);
  int code = 0;
  if (arguments.size() != 2) {
    std::fprintf(stderr, "usage: %s APPLICATION\n", arguments[0].c_str());
    code = 2;
  } else {
    try {
      dock(std::make_shared<rclcpp::Node>("docking"), arguments[1]);
    } catch (const std::runtime_error & error) {
      std::fprintf(stderr, "%s: %s\n", arguments[0].c_str(), error.what());
      code = 1;
    }
  }
  rclcpp::shutdown();
  return code;
}
