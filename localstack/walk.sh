field() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }

# 1. an account, and an instance on the sandbox network
TOKEN=$(curl -s $API/api/auth/register -H "$JSON" \
  -d '{"email":"me'$RANDOM'@example.com","password":"correct horse","name":"Me"}' | field accessToken)
AUTH="authorization: Bearer $TOKEN"
curl -s $API/api/instances -H "$AUTH" -H "$JSON" -d '{"name":"first"}'; echo

# 2. connect it, and let a sandbox phone scan its QR code
curl -s -X POST $API/api/instances/first/connect -H "$AUTH"; echo
until CODE=$(curl -sf $API/api/instances/first/qr -H "$AUTH" | field code); [ -n "$CODE" ]; do sleep 1; done
curl -s $SANDBOX/admin/mock-phone/scan-qr --data-binary "$CODE"; echo
until curl -s $API/api/instances/first/status -H "$AUTH" | grep '"status":"CONNECTED"'; do sleep 1; done

# 3. an API key, a second phone, and a message to it
KEY=$(curl -s $API/api/instances/first/keys -H "$AUTH" -H "$JSON" -d '{"name":"walk"}' | field key)
PHONE=$(curl -s $SANDBOX/admin/phones -H "$JSON" -d '{"name":"Ada"}' | field phone)
MESSAGE=$(curl -s $API/api/messages/text -H "authorization: Bearer $KEY" -H "$JSON" \
  -d '{"to":"'$PHONE'","text":"Hello from Waxwing"}' | field id)

# 4. it is delivered and read: what the phone decrypted, and what the API says
until curl -s $SANDBOX/admin/phones/$PHONE/inbox | grep 'Hello from Waxwing'; do sleep 1; done
curl -s -X POST $SANDBOX/admin/phones/$PHONE/read -H "$JSON" -d '{"all":true}'; echo
until curl -s $API/api/messages/$MESSAGE -H "authorization: Bearer $KEY" | grep '"status":"read"'; do sleep 1; done
