# SPDX-License-Identifier: Apache-2.0
# suan.bash: completion for bash; source it, or put it in /usr/share/bash-completion/completions as suan.
# Verbs and options are those that `suan help` prints, so nothing has to be kept up here.

_suan() {
	local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} verb=${COMP_WORDS[1]}

	COMPREPLY=()
	if [ "$COMP_CWORD" = 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W "$(suan help 2>/dev/null | awk '/^  [a-z]/ { print $1 }' | sort -u)" -- "$word")
		return
	fi
	if [ "$verb" = journal ] && [ "$COMP_CWORD" = 2 ]; then
		mapfile -t COMPREPLY < <(compgen -W "verify cat replay copy" -- "$word")
		return
	fi
	[ "$verb" = journal ] && verb="journal ${COMP_WORDS[2]}"
	case $previous in
	--state)
		if [ "$verb" = jobs ]; then
			mapfile -t COMPREPLY < <(compgen -W "queued stage_in active stage_out cleanup completed failed canceled unknown" -- "$word")
			return
		fi
		;;
	--centre)
		mapfile -t COMPREPLY < <(compgen -W "$(suan centres --json 2>/dev/null | grep -o '"name": "[^"]*"' | cut -d'"' -f4)" -- "$word")
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
