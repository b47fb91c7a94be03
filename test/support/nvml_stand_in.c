/* Copyright 2026 dynamic_dnn_ros contributors
 * SPDX-License-Identifier: Apache-2.0
 *
 * Stands in for the library of NVIDIA's driver, libnvidia-ml.so.1: one card, whose figures lie as
 * numbers in files of the folder that the environment names. Signatures: NVML API Reference Guide.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UUID "GPU-11111111-2222-3333-4444-555555555555"
#define NOT_SUPPORTED 3

typedef struct { unsigned int gpu, memory; } utilisation_t;

static const char *path(const char *name) {
    static char text[4096];
    const char *folder = getenv("NVML_STAND_IN");
    snprintf(text, sizeof text, "%s/%s", folder ? folder : "/nonexistent", name);
    return text;
}

static int number(const char *name, unsigned int *value) {
    FILE *file = fopen(path(name), "r");
    if (!file) return 0;
    int read = fscanf(file, "%u", value) == 1;
    fclose(file);
    return read;
}

/* The error that the card has for everything: 15 once it fell off the bus. */
static int error(void) {
    unsigned int code = 0;
    number("error", &code);
    return (int)code;
}

static int figure(const char *name, unsigned int *value) {
    int code = error();
    return code ? code : number(name, value) ? 0 : NOT_SUPPORTED;
}

int nvmlInit_v2(void) {
    unsigned int code = 0;
    number("init", &code);
    return (int)code;
}
int nvmlInitWithFlags(unsigned int flags) { (void)flags; return nvmlInit_v2(); }
int nvmlShutdown(void) { return 0; }
const char *nvmlErrorString(int code) { return code == 15 ? "GPU is lost" : "error of the stand-in"; }

int nvmlDeviceGetCount_v2(unsigned int *count) {
    if (!number("count", count)) *count = 1;
    return 0;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **device) {
    (void)index;
    *device = (void *)1;
    return 0;
}
int nvmlDeviceGetHandleByUUID(const char *uuid, void **device) {
    *device = (void *)1;
    return strcmp(uuid, UUID) ? 6 : error();
}
int nvmlDeviceGetUUID(void *device, char *text, unsigned int size) {
    (void)device;
    snprintf(text, size, UUID);
    return 0;
}
int nvmlDeviceGetName(void *device, char *text, unsigned int size) {
    (void)device;
    snprintf(text, size, "NVIDIA Stand-in");
    return 0;
}
int nvmlDeviceGetUtilizationRates(void *device, utilisation_t *rates) {
    (void)device;
    rates->memory = 0;
    return figure("utilisation", &rates->gpu);
}
int nvmlDeviceGetPowerUsage(void *device, unsigned int *milliwatts) {
    (void)device;
    return figure("power", milliwatts);
}
int nvmlDeviceGetTemperature(void *device, int sensor, unsigned int *celsius) {
    (void)device;
    (void)sensor;
    return figure("temperature", celsius);
}
int nvmlDeviceGetClockInfo(void *device, int kind, unsigned int *megahertz) {
    (void)device;
    return figure(kind == 0 ? "clock" : "memory_clock", megahertz);
}
int nvmlDeviceGetSupportedMemoryClocks(void *device, unsigned int *count, unsigned int *megahertz) {
    (void)device;
    if (error()) return error();
    unsigned int room = *count;
    *count = 2;
    if (room < 2) return 7;
    megahertz[0] = 7001;
    megahertz[1] = 405;
    return 0;
}
int nvmlDeviceGetSupportedGraphicsClocks(
    void *device, unsigned int memory, unsigned int *count, unsigned int *megahertz) {
    (void)device;
    if (error()) return error();
    unsigned int all = memory == 7001 ? 13 : 1, room = *count;
    *count = all;
    if (room < all) return 7;
    for (unsigned int i = 0; i < all; i++) megahertz[i] = 2100 - 150 * i;
    return 0;
}
int nvmlDeviceGetCurrentClocksEventReasons(void *device, unsigned long long *reasons) {
    (void)device;
    unsigned int low = 0;
    int code = figure("reasons", &low);
    *reasons = low;
    return code;
}

static int change(const char *text) {
    unsigned int code = 0;
    if (error()) return error();
    if (number("refuse", &code)) return (int)code;
    FILE *file = fopen(path("locked"), "w");
    if (!file) return 999;
    fputs(text, file);
    fclose(file);
    return 0;
}
int nvmlDeviceSetGpuLockedClocks(void *device, unsigned int low, unsigned int high) {
    char text[64];
    (void)device;
    snprintf(text, sizeof text, "%u %u\n", low, high);
    return change(text);
}
int nvmlDeviceResetGpuLockedClocks(void *device) {
    (void)device;
    return change("");
}
