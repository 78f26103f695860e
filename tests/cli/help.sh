# Help for newcomers, the manual page, completion.
show --help
show help help
show forecast --help
for command in fit predict embed describe plot models holidays info bench; do
    check "$command --help explains itself" test "$(foretell $command --help | wc -l)" -gt 8
    check "help $command is the same" cmp <(foretell help $command) <(foretell $command --help)
done
foretell help --man >foretell.1
check "the manual has a section for every command" test "$(grep -c '^\.SS "foretell ' foretell.1)" = 12
check "every option of forecast is in it" test -z "$(foretell forecast --help | grep -oE '\-\-[a-z-]+ ' | tr -d ' ' | sort -u |
    while read -r option; do grep -qF -- "${option//-/\\-}" foretell.1 || echo "$option"; done)"
foretell help --completion bash >completion
check "completion is bash" bash -n completion
complete_words() { # what is offered for the last word
    source ./completion
    COMP_WORDS=("$@")
    COMP_CWORD=$(($# - 1))
    _foretell
    echo "${COMPREPLY[*]}"
}
complete_words foretell fo
complete_words foretell forecast --hor
complete_words foretell forecast --format ""
complete_words foretell forecast -m pro
complete_words foretell info --id
complete_words foretell help for
complete_words foretell models p
show --version
