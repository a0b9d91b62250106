-- E-commerce orders as HaloPSA has them, and what is wrong with each: an order that nobody works on, or a ticket that is
-- worked on for nothing. Deleted orders are there with the time, and nothing is wrong with them.
select
    halo_url,
    order_id,
    integration_name,
    integration_id,
    shop_name,
    order_number,
    third_party_id,
    third_party_url,
    third_party_customer_id,
    status,
    status2,
    ordered_at,
    month,
    is_cancelled,
    ticket_id,
    linked_ticket_ids,
    linked_ticket_ids is not null as is_linked,
    case
        when deleted_at is not null then null
        when is_cancelled and linked_ticket_ids is not null then 'cancelled_but_linked'
        when not is_cancelled and linked_ticket_ids is null then 'without_ticket'
    end as problem,
    first_seen_at,
    changed_at,
    deleted_at
from ecommerce_orders
