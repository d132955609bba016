
’

shop.protoshop"
Asked
sku (	Rsku"2
Cart
items (	Ritems
total (Rtotal2'
Carts
Get.shop.Asked
.shop.Cartbproto3