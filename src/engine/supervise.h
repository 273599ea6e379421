/* SPDX-License-Identifier: Apache-2.0
 * supervise.h: what the small process beside each job does. */
#ifndef SUAN_ENGINE_SUPERVISE_H
#define SUAN_ENGINE_SUPERVISE_H

#include <signal.h>

#include "base/err.h"

/* The local engine's state folder:
 *   attempts/<job>.<attempt>/  launch, secrets: what to run; setup, run: its scripts, once it runs; out.<rank>: what it printed;
 *                              work/: where it ran, unless it says where; supervisor.log
 *   claims/<job>.<attempt>/    see start_claim.h
 *   engine.sock                where the daemon is told that a claim has changed: a datagram with the attempt's name */
#define LOCAL_ATTEMPTS "attempts"
#define LOCAL_CLAIMS "claims"
#define LOCAL_SOCKET "engine.sock"

/* To a supervisor: look for a request in your claim. It looks by itself too, now and then. */
#define SUPERVISOR_SIGNAL SIGUSR1

/* Claims an attempt, runs it to its end and leaves its exit in the claim. folder: STATE/attempts/<job>.<attempt>, absolute.
 * Returns 0 when the attempt is over, or is somebody else's; a negative code where it could not even be claimed. Takes over
 * the process: its signals and its children. */
int supervise(const char *folder, struct err *err);

#endif
