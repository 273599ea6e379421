/* SPDX-License-Identifier: Apache-2.0
 * job_keys.c: the keys of SkyPilot's task that Suan doesn't honour, and what happens to each.
 *
 * One that changes where or how fast a job runs, but not whether its result is right, is ignored with a warning; one
 * without which the job would fail or run against its owner's wish is refused. docs/format/job.md shows these tables. */
#include "format/job_draft.h"

const struct form_rule job_rules[JOB_RULES] = {
	{"file_mounts", VERDICT_REFUSED, "data isn't moved yet; use a path that the centre sees, or fetch it in setup"},
	{"storage_mounts", VERDICT_REFUSED, "data isn't moved yet; use a path that the centre sees, or fetch it in setup"},
	{"volumes", VERDICT_REFUSED, "volumes aren't mounted; use a path that the centre sees"},
	{"volume_mounts", VERDICT_REFUSED, "volumes aren't mounted; use a path that the centre sees"},
	{"service", VERDICT_REFUSED, "Suan runs jobs that end, and no services with replicas"},
	{"pool", VERDICT_REFUSED, "a pool of SkyPilot's workers isn't kept; the pool is the daemon's"},
	{"api_server_access", VERDICT_REFUSED, "a job is given no access to the daemon"},
	{"inputs", VERDICT_REFUSED, "data isn't moved yet; use a path that the centre sees"},
	{"outputs", VERDICT_REFUSED, "data isn't moved yet; use a path that the centre sees"},
	{"event_callback", VERDICT_REFUSED, "no command runs at each change of state; follow /v1/events"},
	{"config", VERDICT_WARNED, "it configures SkyPilot's clouds"},
	{"experimental", VERDICT_WARNED, "it configures SkyPilot itself"},
	{"file_mounts_mapping", VERDICT_WARNED, "it is SkyPilot's own record of uploads"},
	{"_metadata", VERDICT_WARNED, "it is SkyPilot's own note"},
	{"_policies", VERDICT_WARNED, "it is SkyPilot's own note"},
	{"_user_specified_yaml", VERDICT_WARNED, "it is SkyPilot's own note"},
	{"_volume_mounts", VERDICT_REFUSED, "volumes aren't mounted; use a path that the centre sees"},
	{"_hooks", VERDICT_REFUSED, "no hooks run; call them in run"},
	{"num_gpus", VERDICT_REFUSED, "say resources: {accelerators: NAME:COUNT}"},
};

const struct form_rule resources_rules[RESOURCES_RULES] = {
	{"cloud", VERDICT_REFUSED, "centres are named by infra"},
	{"region", VERDICT_REFUSED, "centres are named by infra"},
	{"zone", VERDICT_REFUSED, "centres are named by infra"},
	{"instance_type", VERDICT_REFUSED, "say accelerators, cpus and memory"},
	{"ports", VERDICT_REFUSED, "no ports are opened to the outside"},
	{"volumes", VERDICT_REFUSED, "volumes aren't mounted; use a path that the centre sees"},
	{"local_disk", VERDICT_REFUSED, "local disks aren't counted, so one can't be promised"},
	{"hooks", VERDICT_REFUSED, "no hooks run; call them in run"},
	{"max_hourly_cost", VERDICT_REFUSED, "prices don't limit placement yet"},
	{"priority", VERDICT_REFUSED, "priority stands beside resources, not in it"},
	{"priority_class", VERDICT_REFUSED, "say priority: 0 to 1000, beside resources"},
	{"use_spot", VERDICT_WARNED, "cards aren't spot or on demand; preemptible_after says when a job may be preempted"},
	{"spot_recovery", VERDICT_WARNED, "say recovery: {max_restarts: N, on_lost: rerun}, beside resources"},
	{"job_recovery", VERDICT_WARNED, "say recovery: {max_restarts: N, on_lost: rerun}, beside resources"},
	{"disk_size", VERDICT_WARNED, "disks aren't counted"},
	{"ephemeral_storage", VERDICT_WARNED, "disks aren't counted"},
	{"disk_tier", VERDICT_WARNED, "disks aren't counted"},
	{"network_tier", VERDICT_WARNED, "topology says how close the nodes are"},
	{"labels", VERDICT_WARNED, "labels aren't kept"},
	{"autostop", VERDICT_WARNED, "a job's cards are free as soon as it ends"},
	{"accelerator_args", VERDICT_WARNED, "cards have no arguments"},
	{"_no_missing_accel_warnings", VERDICT_WARNED, "it is SkyPilot's own note"},
	{"_docker_login_config", VERDICT_REFUSED, "centres log in to registries themselves"},
	{"_is_image_managed", VERDICT_WARNED, "it is SkyPilot's own note"},
	{"_requires_fuse", VERDICT_WARNED, "it is SkyPilot's own note"},
	{"_cluster_config_overrides", VERDICT_WARNED, "it configures SkyPilot's clouds"},
};
