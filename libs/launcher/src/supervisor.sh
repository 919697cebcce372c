# Runs one server until it ends or its starter does.
#
#   sh -c SCRIPT supervisor SIGNAL REMOVE SERVER ARGUMENT...
#
# Standard input is a pipe whose other end only the starter holds, so its end of file means that the
# starter closed it, exited or was killed. SIGNAL then asks the server to stop at once but in order;
# a server deaf to it for 20 seconds is killed. REMOVE, unless empty, is the server's own folder,
# removed after such a stop, with the folder around it once no other server's folder is left there.
# A server that ended by itself leaves its folder, for its starter to look into.
signal=$1 remove=$2
shift 2
exec 3<&0 </dev/null

"$@" 3<&- &
server=$!

{
    while read -r _; do :; done <&3
    [ -z "$remove" ] || : >"$remove/.stop"
    kill -s "$signal" "$server" 2>/dev/null
    seconds=0
    while kill -0 "$server" 2>/dev/null; do
        [ "$seconds" -lt 20 ] || kill -s KILL "$server" 2>/dev/null
        sleep 1
        seconds=$((seconds + 1))
    done
} &
watcher=$!

# A signal to this shell reaches the server, and interrupts `wait`: hence the loop.
trap 'kill -s "$signal" "$server" 2>/dev/null' HUP INT TERM
wait "$server"
status=$?
while kill -0 "$server" 2>/dev/null; do
    wait "$server"
    status=$?
done
kill "$watcher" 2>/dev/null

if [ -n "$remove" ] && [ -e "$remove/.stop" ]; then
    rm -rf -- "$remove"
    around=${remove%/*}
    set -- "$around"/*/
    [ -d "$1" ] || rm -rf -- "$around"
fi
exit "$status"
