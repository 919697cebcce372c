# Ends the programs of an agent that is no longer there to do it.
#
# Standard input is a pipe whose other end only the agent holds. On it the agent names the process
# groups of the programs it runs: "+ GROUP" when one begins, "- GROUP" when one has ended. The end of
# the file means that the agent has ended, however it did: what still runs is asked to end, and killed
# after two seconds.
trap '' HUP INT TERM
groups=" "
while read -r sign group; do
    case $sign in
    +) groups="$groups$group " ;;
    -) groups="${groups%% "$group" *} ${groups#* "$group" }" ;;
    esac
done
[ -n "${groups%% }" ] || exit 0
for group in $groups; do kill -s TERM -- "-$group"; done 2>/dev/null
sleep 2
for group in $groups; do kill -s KILL -- "-$group"; done 2>/dev/null
