# SPDX-License-Identifier: Apache-2.0
# suan.bash: completion for bash; source it, or put it in /usr/share/bash-completion/completions as suan.
# Verbs and options are those that `suan help` prints, so nothing has to be kept up here.

_suan() {
	local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} verb=${COMP_WORDS[1]} second

	COMPREPLY=()
	if [ "$COMP_CWORD" = 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W "$(suan help 2>/dev/null | awk '/^  [a-z]/ { print $1 }' | sort -u)" -- "$word")
		return
	fi
	# The second words of verbs of two words, as of "journal verify".
	second=$(suan help 2>/dev/null | awk -F '  +' -v first="$verb" '{ n = split($2, words, " ") } n == 2 && words[1] == first { print words[2] }')
	if [ -n "$second" ]; then
		if [ "$COMP_CWORD" = 2 ]; then
			mapfile -t COMPREPLY < <(compgen -W "$second" -- "$word")
			return
		fi
		verb="$verb ${COMP_WORDS[2]}"
	fi
	case $previous in
	--state)
		if [ "$verb" = jobs ]; then
			mapfile -t COMPREPLY < <(compgen -W "queued stage_in active stage_out cleanup completed failed canceled unknown" -- "$word")
			return
		fi
		;;
	--project)
		mapfile -t COMPREPLY < <(compgen -W "$(suan projects --json 2>/dev/null | grep -o '"name": "[^"]*"' | cut -d'"' -f4)" -- "$word")
		return
		;;
	--from | --until)
		mapfile -t COMPREPLY < <(compgen -W "now never +1h +1d" -- "$word")
		return
		;;
	--centre)
		mapfile -t COMPREPLY < <(compgen -W "$(suan centres --json 2>/dev/null | grep -o '"name": "[^"]*"' | cut -d'"' -f4)" -- "$word")
		return
		;;
	esac
	case $verb in
	node\ * | drain | book)
		if [[ $word != -* ]]; then
			mapfile -t COMPREPLY < <(compgen -S / -W "$(suan centres --json 2>/dev/null | grep -o '"name": "[^"]*"' | cut -d'"' -f4)" -- "$word")
			compopt -o nospace 2>/dev/null
			return
		fi
		;;
	unbook)
		mapfile -t COMPREPLY < <(compgen -W "$(suan bookings --json 2>/dev/null | grep -o '"id": [0-9]*' | cut -d' ' -f2)" -- "$word")
		return
		;;
	esac
	if [[ $word == -* ]]; then
		# shellcheck disable=SC2086
		mapfile -t COMPREPLY < <(compgen -W "$(suan help $verb 2>/dev/null | grep -oE -- '--[a-z-]+' | sort -u)" -- "$word")
	else
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
	fi
}

complete -o filenames -F _suan suan
