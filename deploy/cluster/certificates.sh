#!/bin/sh
# certificates.sh FOLDER SERVER...: a certificate authority, and a certificate for each server, named by it.
# FOLDER/ca.pem is for servers and clients; FOLDER/SERVER/ is what one server gets. FOLDER/ca-key.pem stays
# where only you can read it. What exists is kept, so that a server can be added later.
set -eu
[ $# -ge 2 ] || { echo "usage: $0 FOLDER SERVER..." >&2; exit 64; }
folder=$1; shift
days=1825
umask 077
mkdir -p "$folder"
if [ ! -f "$folder/ca-key.pem" ]; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days "$days" \
        -subj "/CN=crypto-intel NATS" -addext "basicConstraints=critical,CA:TRUE" \
        -addext "keyUsage=critical,keyCertSign,cRLSign" \
        -keyout "$folder/ca-key.pem" -out "$folder/ca.pem" 2>/dev/null
    # Everyone checks with it, also who runs as another user.
    chmod 0644 "$folder/ca.pem"
fi
for server in "$@"; do
    own=$folder/$server
    mkdir -p "$own"
    cp -p "$folder/ca.pem" "$own/ca.pem"
    [ ! -f "$own/server.pem" ] || continue
    case $server in
        *[!0-9.]*) names="DNS:$server" ;;
        *) names="IP:$server" ;;
    esac
    # Each is server and client of the other two, and its own monitoring asks it on this machine.
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days "$days" \
        -CA "$folder/ca.pem" -CAkey "$folder/ca-key.pem" -subj "/CN=$server" \
        -addext "basicConstraints=critical,CA:FALSE" -addext "keyUsage=critical,digitalSignature" \
        -addext "extendedKeyUsage=serverAuth,clientAuth" \
        -addext "subjectAltName=$names,DNS:localhost,IP:127.0.0.1" \
        -keyout "$own/server-key.pem" -out "$own/server.pem" 2>/dev/null
done
