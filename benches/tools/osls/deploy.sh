# One function a run; at the same time they would write the same zip.
cd project
for letter in a b c d; do osls deploy function --function "$letter"; done
