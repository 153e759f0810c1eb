"""Products, prices and customers coming, changing and going."""

from __future__ import annotations

from tests.stripe_simulator.account import Account
from tests.stripe_simulator.models import Customer, Price, Product


class Catalog(Account):
    def make_product(self, name: str = "Poster") -> Product:
        product = Product(self.new_id("prod"), name, self.now, self.now, description=f"{name}, framed")
        self.add(product)
        self.emit("product.created", product)
        return product

    def make_price(
        self, product: Product, unit_amount: int, currency: str = "usd", interval: str | None = None
    ) -> Price:
        price = Price(self.new_id("price"), product.id, currency, unit_amount, self.now, interval)
        self.add(price)
        self.emit("price.created", price)
        return price

    def make_default_price(self, product: Product, price: Price) -> None:
        self.change("product.updated", product, default_price=price.id, updated=self.now)

    def rename_product(self, product: Product, name: str) -> None:
        self.change("product.updated", product, name=name, updated=self.now)

    def retire_price(self, price: Price) -> None:
        self.change("price.updated", price, active=False, lookup_key=None)

    def delete_price(self, price: Price) -> None:
        self.set("price.deleted", price, deleted=True)

    def delete_product(self, product: Product) -> None:
        self.set("product.deleted", product, deleted=True)

    def make_customer(self, email: str | None, metadata: dict[str, str] | None = None) -> Customer:
        customer = Customer(self.new_id("cus"), self.now, email, metadata=metadata or {})
        self.add(customer)
        self.emit("customer.created", customer)
        return customer

    def rename_customer(self, customer: Customer, name: str) -> None:
        self.change("customer.updated", customer, name=name, phone="+100000000")

    def delete_customer(self, customer: Customer) -> None:
        self.set("customer.deleted", customer, deleted=True)
