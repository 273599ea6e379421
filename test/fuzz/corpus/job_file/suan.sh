#!/bin/sh
#SUAN name: x
#SUAN resources: {accelerators: a:1}
echo hi
