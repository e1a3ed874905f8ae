# bash completion of understudy: the command itself knows what may come next.
_understudy() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    if [ "$line" = %files ]; then
      compopt -o default 2>/dev/null
    else
      COMPREPLY+=("$(printf %q "$line")")
    fi
  done < <("${COMP_WORDS[0]}" --complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _understudy understudy
