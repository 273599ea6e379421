#!/bin/bash
# A script with a job file's keys in its head. It waits until every element of the array before it has completed;
# ./dev run puts the array's id in place of ${07-array}.
#SUAN name: after-array
#SUAN depends_on: [{job: ${07-array}, when: afterok}]
#SUAN resources: {accelerators: any:1, infra: here}
#SUAN time: 1m

echo "the array is complete"
