// Copyright 2026 dynamic_dnn_ros contributors
// SPDX-License-Identifier: Apache-2.0
//
// What a search is given, and the walk through values that hardly differ.

#ifndef JOINT_CHOICE__TASK_HPP_
#define JOINT_CHOICE__TASK_HPP_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "prediction.hpp"

namespace joint_choice
{

// As `WITHIN` and `WITHIN_ACCURACY` of management/narrowing.py: within this share of the best, values are equal.
constexpr double WITHIN = 0.01;
constexpr double WITHIN_ACCURACY = 0.0003;

inline double within(Objective objective)
{
  return objective == Objective::MAXIMUM_ACCURACY ? WITHIN_ACCURACY : WITHIN;
}

// One decision to be made. `_Task` of joint_choice.py has the same fields in the same order. Settings that may be
// chosen are known by their position; arrays of the joint table's settings are read at `settings[position]`.
struct Task
{
  const Application * applications;
  const int64_t * order;     // of applications, the highest priority first
  const int64_t * settings;  // that may be chosen, as rows of the joint table
  const double * foreign;    // positions x counted domains: utilisation by load that is not ours
  const double * beside;     // of the joint table's settings: power of other programs, W; or none
  int64_t count;             // of applications
  int64_t positions;
  int64_t counted;   // domains that load which is not ours needs
  int64_t in_force;  // a setting to look at too; -1: none
  int64_t first_batch;
  int64_t effort;    // joint candidates after which to end
  double limit;      // of utilisation
  double power_cap;  // W; infinite without one

  size_t size() const { return static_cast<size_t>(count); }
  // Power of other programs, W; 0 where it is not known.
  double power_beside(size_t position) const { return beside ? beside[settings[position]] : 0.0; }
  const double * figures(size_t a, size_t position, int64_t option) const
  {
    const Application & app = applications[a];
    return app.points + (settings[position] * app.options + option) * FIGURES;
  }
};

// Joint candidates. Arrays of `options`, `margined` and `values` have a row of all applications each.
struct Candidates
{
  std::vector<size_t> position;
  std::vector<int64_t> strategy;  // of their attitudes; of equals the first is taken
  std::vector<double> excess;     // over the limit of utilisation and the power cap, as shares
  std::vector<double> power;
  std::vector<int64_t> options;
  std::vector<double> margined;  // shortfall, the margin kept free
  std::vector<double> values;    // of the objectives

  size_t size() const { return position.size(); }
};

// Keep of `kept` what is within a tolerance of the smallest value, all where none is a number; return the smallest.
template <typename Index, typename Value>
double narrow(std::vector<Index> & kept, Value value, double relative, double absolute = 0.0)
{
  double smallest = INF;
  for (const Index each : kept) {
    smallest = std::min(smallest, value(each));
  }
  const double most =
    smallest + (relative != 0.0 ? relative * std::abs(smallest) : 0.0) + absolute;
  size_t number = 0;
  for (const Index each : kept) {
    if (value(each) <= most) {
      kept[number++] = each;
    }
  }
  if (number > 0) {
    kept.resize(number);
  }
  return smallest;
}

}  // namespace joint_choice

#endif  // JOINT_CHOICE__TASK_HPP_
