// Copyright 2026 dynamic_dnn_ros contributors
// SPDX-License-Identifier: Apache-2.0
//
// What operating points of one application come to while others share its processor.
//
// It is the prediction of `management/assessment.py`, `estimator.py` and `queueing.py`, where the formulas and their
// sources are; a test compares them. Here each figure is worked out once that others do not change. Times are in
// seconds, power is in watts; shares of the time and shortfalls have no unit.

#ifndef JOINT_CHOICE__PREDICTION_HPP_
#define JOINT_CHOICE__PREDICTION_HPP_

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace joint_choice
{

constexpr double INF = std::numeric_limits<double>::infinity();

// As in the Python modules.
constexpr double MET = 1e-6;
constexpr double WORST = 1e6;
constexpr double NO_TIME = 1e-12;
constexpr double LEAST_LEFT = 1e-3;
// Stands for a point that the profile lacks.
constexpr double UNKNOWN = 1e9;

// In the order of `tables.LEAST`.
enum Figure
{
  MEAN,
  P50,
  BEYOND_P50,
  BEYOND_P95,
  ENERGY,
  IDLE_POWER,
  DYNAMIC_POWER,
  WORK,
  FIGURES
};

// As `targets.Objective`.
enum class Objective : int64_t
{
  MINIMUM_ENERGY,
  MAXIMUM_ACCURACY,
  MINIMUM_LATENCY
};

// The squared variation of waiting beside that of service, and by how much it is corrected.
struct Variation
{
  double steady;
  double corrected;
};

// What one application asks for and how it runs. `_Application` of joint_choice.py has the same fields in the same
// order. A limit of 0 is none. Options are the usable ones alone.
struct Application
{
  const double * points;  // settings x options x figures
  const double * least;  // the same, of the first 1, 2, ... options by accuracy, the highest first
  const double * accuracy;     // options
  const double * descending;   // options: accuracy, an unknown one infinite, the highest first
  const double * shares;       // options x counted domains: of a frame's time on the processor
  const int64_t * processors;  // options
  int64_t options;
  Objective objective;
  int64_t priority;
  int64_t server;      // with the same one it takes turns; 0: none
  int64_t timed;       // whether latency is asked for
  double latency;      // limit less the margin
  double per_latency;  // one over it
  double energy;       // likewise, J
  double accurate;     // least accuracy
  double asked;        // rate that has to be served, Hz, margin added
  double rate;         // of the camera, Hz
  double longest;      // time for which a frame waits for the one before it, at the quantile
  double occupancy;
  double stage;
  double waited;  // at the quantile, as a multiple of what is predicted
  double quantile;
  double tail;  // log(1 / (1 - quantile)) / 2
  double slow_down;
  double overhead;
  double other;       // variance of what else a frame takes, at the quantile
  double uncertain;   // deviation of the slow-down, at the quantile
  double beyond_p50;  // share of p95 - p50 that the quantile is above p50
  double beyond_p95;  // share of p99 - p95 that it is above p95
  double varied;      // squared: from the quantile to the deviation of service
  Variation alone;
  Variation beside;  // where others share the processor

  double occupied() const { return rate * occupancy; }
  // What an objective of accuracy would have small.
  double inaccuracy(int64_t option) const
  {
    return std::isnan(accuracy[option]) ? 0.0 : -accuracy[option];
  }
};

// What others make of service: they make it last `factor` times as long, and where applications take turns, a frame
// waits `waiting` at the quantile, and those before it leave `left` of the time.
struct Contention
{
  double factor = 1.0;
  double waiting = 0.0;
  double left = 1.0;
  double turn = 1.0;  // share of the time of its processor that an application may have
  bool alone = true;

  bool operator==(const Contention & other) const
  {
    return factor == other.factor && waiting == other.waiting && left == other.left &&
           alone == other.alone;
  }
};

// What an application takes of a processor.
struct Taken
{
  int64_t processor = -1;
  double busy = 0.0;
};

inline bool take_turns(const Application & one, const Application & other)
{
  return one.server != 0 && one.server == other.server;
}

// What application `a` meets on a processor (`queueing.queue`).
inline Contention contention_on(
  int64_t processor, size_t a, const Application * applications, const Taken * taken, size_t count)
{
  const Application & me = applications[a];
  Contention found;
  double total = 0.0, residual = 0.0, longest = 0.0, longest_lower = 0.0;
  double higher = 0.0, equal = 0.0, sharing = 0.0;
  for (size_t b = 0; b < count; ++b) {
    const double busy = taken[b].busy;
    if (b == a || taken[b].processor != processor || busy <= 0.0) {
      continue;
    }
    const Application & other = applications[b];
    if (!take_turns(me, other)) {
      found.factor += busy;
      continue;
    }
    const bool lower = other.priority < me.priority;
    const double held = busy / std::max(other.rate, 1e-9) * (lower ? other.stage : 1.0);
    total += busy;
    residual += 0.5 * busy * held;
    if (lower && other.occupancy >= 1.0) {
      longest_lower = std::max(longest_lower, held);
    } else {
      longest += held;
    }
    if (other.priority > me.priority) {
      higher += busy;
    } else if (!lower) {
      equal += busy;
      sharing += 1.0;
    }
  }
  if (total > 0.0) {
    const double busy = std::min(total, 1.0);
    const double for_equals = std::max(1.0 - higher, 0.0);
    const double mean =
      residual / std::max(total, 1.0) /
      (std::max(for_equals, LEAST_LEFT) * std::max(1.0 - 0.5 * (higher + equal), LEAST_LEFT));
    found.left = std::max(std::max(for_equals - equal, for_equals / (1.0 + sharing)), LEAST_LEFT);
    // Nobody waits as often as the processor is idle; the rest of waiting is exponential.
    const double spread = me.waited * mean / std::max(busy, 1e-9);
    const double tail = std::log(std::max(busy, 1e-9) / (1.0 - me.quantile));
    found.waiting = std::min(spread * std::max(tail, 0.0), longest + longest_lower);
  }
  found.turn = 1.0 / (found.factor / found.left);
  found.alone = found.factor + std::min(total, 1.0) < 1.0 + MET;
  return found;
}

// By which share a limit is missed; what is not known misses nothing.
inline double cut(double share) { return share > 0.0 ? std::min(share, WORST) : 0.0; }

inline double missed_energy(const Application & app, double energy)
{
  return app.energy != 0.0 ? cut(energy * (app.slow_down / app.energy) - 1.0) : 0.0;
}

// The sum of what limits are missed by; `fixed` is that of limits that others do not touch.
inline double missed(const Application & app, double fixed, double latency, double mean)
{
  double total = fixed;
  if (app.latency != 0.0) {
    total += cut(latency * app.per_latency - 1.0);
  }
  if (app.asked != 0.0) {
    total += cut(mean * app.asked - 1.0);
  }
  return total;
}

// The squared distance of service at the quantile from its median, alone.
inline double variance(const Application & app, const double * figures)
{
  double spread = figures[BEYOND_P50] * (app.beyond_p50 * app.slow_down);
  if (app.beyond_p95 != 0.0) {
    spread += figures[BEYOND_P95] * (app.beyond_p95 * app.slow_down);
  }
  spread = std::max(spread, 0.0);
  const double uncertain = figures[MEAN] * app.uncertain;
  return spread * spread + uncertain * uncertain;
}

// Preprocessing + inference at the quantile, from the slowed-down median.
inline double service_at(const Application & app, double median, double variance, double factor)
{
  return std::sqrt(variance * (factor * factor) + app.other) + median * factor;
}

// How long a frame waits for the one before it, at the quantile; `varying` is the squared variation.
inline double waiting(const Application & app, double mean, double varying, double corrected)
{
  const double utilisation = std::min(mean * app.rate, 1.0);
  double found = varying * app.tail * utilisation / std::max(1.0 - utilisation, NO_TIME);
  if (corrected != 0.0) {
    found -= std::sqrt(varying) * corrected;
  }
  return std::min(std::max(found, 0.0) * mean, app.longest);
}

// An operating point, and what holds of it whatever others do.
struct Point
{
  double mean;
  double median;
  double variance;
  double busy;   // with nobody beside it
  double fixed;  // shortfall of limits that others do not touch
};

inline Point point(const Application & app, const double * figures, double accuracy)
{
  const double mean = figures[MEAN] * app.slow_down;
  double fixed = 0.0;
  if (figures[MEAN] >= UNKNOWN) {
    // A point that the profile lacks is out of the question.
    fixed = INF;
  } else {
    if (app.accurate != 0.0) {
      fixed = cut(app.accurate / accuracy - 1.0);
    }
    fixed += missed_energy(app, figures[ENERGY]);
  }
  return {
    mean, figures[P50] * app.slow_down, variance(app, figures),
    std::min(mean * app.occupied(), 1.0), fixed};
}

struct Prediction
{
  double latency;  // at the quantile, 0 where nobody asks for it
  double mean;     // service, with its turns
};

inline Prediction predict(const Application & app, const Point & point, const Contention & met)
{
  const double mean = point.mean * met.factor;
  if (!app.timed) {
    return {0.0, mean / met.left};
  }
  const double service = service_at(app, point.median, point.variance, met.factor);
  const Variation & variation = met.alone ? app.alone : app.beside;
  const double varied = std::max(service / mean - 1.0, 0.0);
  const double varying = varied * varied * app.varied + variation.steady;
  const double latency = waiting(app, mean, varying, variation.corrected) + service + app.overhead;
  return {latency + met.waiting, mean / met.left};
}

// The share of time for which the processor works, never more than its turn.
inline double busy_share(const Point & point, const Contention & met)
{
  return std::min(point.busy, met.turn);
}

}  // namespace joint_choice

#endif  // JOINT_CHOICE__PREDICTION_HPP_
